"""What applications do with asyncpg, through a proxy in transaction mode.

Connects by libpq's environment variables. Prints the name of each part when it is done; any surprise is an exception.
"""

import asyncio
import datetime
import decimal
import io
import uuid

import asyncpg


async def queries(connection):
    assert await connection.fetchval("SELECT 1") == 1
    row = await connection.fetchrow("SELECT $1::int + $2::int AS sum, $3::text AS text", 20, 22, "ü'\"")
    assert dict(row) == {"sum": 42, "text": "ü'\""}
    rows = await connection.fetch("SELECT n FROM generate_series(1, 5000) n")
    assert sum(row["n"] for row in rows) == 5000 * 5001 // 2
    values = (
        decimal.Decimal("12.340"),
        uuid.uuid4(),
        datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
        [1, None, 3],
        bytes(range(256)),
    )
    found = await connection.fetchrow("SELECT $1::numeric, $2::uuid, $3::timestamptz, $4::int[], $5::bytea", *values)
    assert tuple(found) == values, found


async def types(connection):
    """asyncpg asks the catalog about types that it does not know."""
    await connection.execute("DROP TYPE IF EXISTS asyncpg_mood; CREATE TYPE asyncpg_mood AS ENUM ('sad', 'glad')")
    assert await connection.fetchval("SELECT $1::asyncpg_mood", "glad") == "glad"
    await connection.execute("DROP TYPE IF EXISTS asyncpg_pair; CREATE TYPE asyncpg_pair AS (a int, b text)")
    assert tuple(await connection.fetchval("SELECT (1, 'x')::asyncpg_pair")) == (1, "x")
    await connection.set_type_codec("json", encoder=str, decoder=lambda text: ("decoded", text), schema="pg_catalog")
    assert await connection.fetchval("SELECT '{}'::json") == ("decoded", "{}")
    await connection.reset_type_codec("json", schema="pg_catalog")


async def prepared_statements(connection):
    statement = await connection.prepare("SELECT $1::int * 2")
    assert [await statement.fetchval(n) for n in range(100)] == [2 * n for n in range(100)]
    assert statement.get_attributes()[0].type.name == "int4"
    others = [await connection.prepare(f"SELECT $1::int + {n}") for n in range(50)]
    for n, other in enumerate(others):
        assert await other.fetchval(1) == n + 1
    for n in range(300):
        # More texts than asyncpg keeps prepared, so that it closes the oldest.
        assert await connection.fetchval(f"SELECT $1::int - {n}", n) == 0
    assert await statement.fetchval(21) == 42
    try:
        await connection.prepare("SELECT no_such_column")
    except asyncpg.UndefinedColumnError:
        pass
    else:
        raise AssertionError("there is no such column")
    assert await statement.fetchval(1) == 2


async def changing_tables(connection):
    await connection.execute("DROP TABLE IF EXISTS asyncpg_shape")
    await connection.execute("CREATE TABLE asyncpg_shape (a int); INSERT INTO asyncpg_shape VALUES (1)")
    star = "SELECT * FROM asyncpg_shape FOR UPDATE"
    assert tuple(await connection.fetchrow(star)) == (1,)
    await connection.execute("ALTER TABLE asyncpg_shape ADD b int DEFAULT 2")
    # asyncpg prepares a statement again when the server says that its result has changed.
    assert tuple(await connection.fetchrow(star)) == (1, 2)
    # No text shows this change. Another connection prepares the statement after it, and need not hear of it.
    await connection.execute("DO 'BEGIN ALTER TABLE asyncpg_shape ADD c int DEFAULT 3; END'")
    other = await asyncpg.connect(statement_cache_size=100)
    try:
        statement = await other.prepare(star)
        assert tuple(await statement.fetchrow()) == (1, 2, 3)
    finally:
        await other.close()
    assert tuple(await connection.fetchrow(star)) == (1, 2, 3)


async def transactions(connection):
    await connection.execute("DROP TABLE IF EXISTS asyncpg_items")
    await connection.execute("CREATE TABLE asyncpg_items (id int PRIMARY KEY, name text)")
    async with connection.transaction():
        await connection.execute("INSERT INTO asyncpg_items VALUES ($1, $2)", 1, "kept")
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO asyncpg_items VALUES ($1, $2)", 1, "twice")
        except asyncpg.UniqueViolationError as error:
            assert error.constraint_name == "asyncpg_items_pkey"
        else:
            raise AssertionError("the key is unique")
        await connection.execute("INSERT INTO asyncpg_items VALUES ($1, $2)", 2, "after the savepoint")
    assert await connection.fetchval("SELECT count(*) FROM asyncpg_items") == 2
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        assert await connection.fetchval("SELECT count(*) FROM asyncpg_items") == 2
        try:
            async with connection.transaction():
                await connection.execute("DELETE FROM asyncpg_items")
        except asyncpg.ReadOnlySQLTransactionError:
            pass
        else:
            raise AssertionError("the transaction is read-only")


async def cursors(connection):
    async with connection.transaction():
        numbers = [row["n"] async for row in connection.cursor("SELECT n FROM generate_series(1, 500) n", prefetch=50)]
        assert numbers == list(range(1, 501))
        cursor = await connection.cursor("SELECT n FROM generate_series(1, 100) n")
        assert await cursor.forward(10) == 10
        assert [row["n"] for row in await cursor.fetch(5)] == [11, 12, 13, 14, 15]


async def many(connection):
    await connection.execute("DROP TABLE IF EXISTS asyncpg_many")
    await connection.execute("CREATE TABLE asyncpg_many (id int PRIMARY KEY, name text)")
    rows = [(n, f"name {n}") for n in range(10000)]
    await connection.executemany("INSERT INTO asyncpg_many VALUES ($1, $2)", rows)
    assert await connection.fetchval("SELECT count(*) FROM asyncpg_many") == 10000
    try:
        await connection.executemany("INSERT INTO asyncpg_many VALUES ($1, $2)", [(20000, ""), (1, ""), (20001, "")])
    except asyncpg.UniqueViolationError:
        pass
    else:
        raise AssertionError("the key is unique")
    assert await connection.fetchval("SELECT count(*) FROM asyncpg_many") == 10000, "all or nothing"


async def copies(connection):
    await connection.execute("DROP TABLE IF EXISTS asyncpg_copy; CREATE TABLE asyncpg_copy (id int, name text)")
    records = [(n, f"name\t{n}") for n in range(20000)]
    assert await connection.copy_records_to_table("asyncpg_copy", records=records) == "COPY 20000"
    assert await connection.copy_to_table("asyncpg_copy", source=io.BytesIO(b"-1,csv\n"), format="csv") == "COPY 1"
    out = io.BytesIO()
    copied = await connection.copy_from_query("SELECT * FROM asyncpg_copy WHERE id < $1", 0, output=out, format="csv")
    assert copied == "COPY 1" and out.getvalue() == b"-1,csv\n", out.getvalue()
    out = io.BytesIO()
    assert await connection.copy_from_table("asyncpg_copy", output=out, format="binary") == "COPY 20001"
    try:
        await connection.copy_to_table("asyncpg_copy", source=io.BytesIO(b"not a number,x\n"), format="csv")
    except asyncpg.InvalidTextRepresentationError:
        pass
    else:
        raise AssertionError("the row is wrong")


async def notifications(connection):
    heard = asyncio.Queue()
    channel = "asyncpg_channel"
    await connection.add_listener(channel, lambda _connection, _pid, _channel, payload: heard.put_nowait(payload))
    other = await asyncpg.connect()
    await other.execute(f"NOTIFY {channel}, 'hello'")
    await other.execute("SELECT pg_notify($1, $2)", channel, "again")
    await other.close()
    assert [await asyncio.wait_for(heard.get(), 20) for _ in range(2)] == ["hello", "again"]
    await connection.reset()


async def cancels(connection):
    try:
        await connection.fetchval("SELECT pg_sleep(60)", timeout=0.3)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("the statement was to time out")
    assert await connection.fetchval("SELECT 1") == 1


async def pool():
    """Its reset runs advisory unlocks, CLOSE ALL, UNLISTEN * and RESET ALL at each release."""
    async with asyncpg.create_pool(min_size=2, max_size=10) as connections:
        async def one(number):
            for turn in range(20):
                async with connections.acquire() as connection:
                    await connection.execute(f"SET application_name TO 'asyncpg {number} {turn}'")
                    name = await connection.fetchval("SELECT current_setting('application_name')")
                    assert name == f"asyncpg {number} {turn}", name
                    assert await connection.fetchval("SELECT $1::int", number) == number

        await asyncio.gather(*(one(number) for number in range(30)))
        assert await connections.fetchval("SELECT current_setting('application_name')") == ""


async def main():
    connection = await asyncpg.connect()
    for part in (
        queries,
        types,
        prepared_statements,
        changing_tables,
        transactions,
        cursors,
        many,
        copies,
        notifications,
        cancels,
    ):
        await part(connection)
        print(part.__name__, flush=True)
    await connection.close()
    await pool()
    print("pool", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
