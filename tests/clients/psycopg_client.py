"""What applications do with psycopg 3, through a proxy in transaction mode.

Connects by libpq's environment variables. Prints the name of each part when it is done; any surprise is an exception.
"""

import asyncio
import datetime
import threading

import psycopg
from psycopg import sql
from psycopg.rows import dict_row


def connect(**options):
    return psycopg.connect("", **options)


def queries():
    with connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        row = connection.execute("SELECT %s::int + %s::int, %s::text", (20, 22, "ü'\"")).fetchone()
        assert row == (42, "ü'\""), row
        binary = connection.execute("SELECT %b::bytea", (bytes(range(256)),), binary=True).fetchone()
        assert binary == (bytes(range(256)),)
        cursor = connection.cursor(row_factory=dict_row)
        cursor.execute("SELECT generate_series AS n FROM generate_series(1, 5000)")
        assert sum(row["n"] for row in cursor) == 5000 * 5001 // 2
        assert connection.execute("SELECT").fetchall() == [()]


def transactions():
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS psycopg_items")
        connection.execute("CREATE TABLE psycopg_items (id int PRIMARY KEY, name text)")
        connection.commit()
        connection.execute("INSERT INTO psycopg_items VALUES (1, 'kept')")
        connection.commit()
        connection.execute("INSERT INTO psycopg_items VALUES (2, 'dropped')")
        connection.rollback()
        assert connection.execute("SELECT id FROM psycopg_items").fetchall() == [(1,)]
        connection.commit()

        with connection.transaction():
            connection.execute("INSERT INTO psycopg_items VALUES (3, 'outer')")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO psycopg_items VALUES (3, 'twice')")
            except psycopg.errors.UniqueViolation as error:
                assert error.diag.constraint_name == "psycopg_items_pkey"
            else:
                raise AssertionError("the key is unique")
            connection.execute("INSERT INTO psycopg_items VALUES (4, 'after the savepoint')")
        assert connection.execute("SELECT count(*) FROM psycopg_items").fetchone() == (3,)
        connection.commit()

        try:
            connection.execute("SELECT no_such_column")
        except psycopg.errors.UndefinedColumn:
            pass
        try:
            connection.execute("SELECT 1")
        except psycopg.errors.InFailedSqlTransaction:
            connection.rollback()
        else:
            raise AssertionError("the transaction has failed")

        connection.read_only = True
        assert connection.execute("SELECT count(*) FROM psycopg_items").fetchone() == (3,)
        try:
            connection.execute("DELETE FROM psycopg_items")
        except psycopg.errors.ReadOnlySqlTransaction:
            connection.rollback()
        else:
            raise AssertionError("the transaction is read-only")
        connection.read_only = None

        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        level = connection.execute("SHOW transaction_isolation").fetchone()
        assert level == ("serializable",), level
        connection.rollback()


def prepared_statements():
    with connect(autocommit=True) as connection:
        for n in range(200):
            found = connection.execute("SELECT %s::int * 2", (n,), prepare=True).fetchone()
            assert found == (2 * n,)
        # Prepared after its fifth use, as psycopg does by itself; many texts push out the oldest.
        connection.prepared_max = 10
        for turn in range(8):
            for text in range(30):
                query = sql.SQL("SELECT {} + %s::int").format(sql.Literal(text))
                assert connection.execute(query, (turn,)).fetchone() == (text + turn,)
        # psycopg sees this in the server's answers, and prepares what it needs again.
        for forget in ("DEALLOCATE ALL", "DISCARD ALL"):
            assert connection.execute("SELECT %s::int * 3", (1,), prepare=True).fetchone() == (3,)
            connection.execute(forget)
            assert connection.execute("SELECT %s::int * 3", (2,), prepare=True).fetchone() == (6,)


def changing_tables():
    """A table changes its columns while statements on it are prepared."""
    with connect(autocommit=True) as first:
        first.execute("DROP TABLE IF EXISTS psycopg_shape")
        first.execute("CREATE TABLE psycopg_shape (a int)")
        first.execute("INSERT INTO psycopg_shape VALUES (1)")
        star = "SELECT * FROM psycopg_shape FOR UPDATE"
        assert first.execute(star, prepare=True).fetchone() == (1,)
        first.execute("ALTER TABLE psycopg_shape ADD b int DEFAULT 2")
        with connect(autocommit=True) as second:
            assert second.execute(star, prepare=True).fetchone() == (1, 2), "prepared after the change"
            # No text shows this change. libpq asks for the columns each time, so nobody need hear of it.
            first.execute("DO 'BEGIN ALTER TABLE psycopg_shape ADD c int DEFAULT 3; END'")
            assert second.execute(star, prepare=True).fetchone() == (1, 2, 3)
            with connect() as third:
                assert third.execute(star, prepare=True).fetchone() == (1, 2, 3), "first in its transaction"


def settings_of_literals():
    """A literal is read when its statement is prepared, under the settings of whoever prepares it."""
    query = "SELECT extract(epoch from timestamptz '2024-01-01')::int, date '01/02/2024' FROM pg_advisory_xact_lock(1)"
    january, february = datetime.date(2024, 1, 2), datetime.date(2024, 2, 1)
    with connect(autocommit=True) as london, connect(autocommit=True) as tokyo:
        tokyo.execute("SET timezone TO 'Asia/Tokyo'")
        tokyo.execute("SET datestyle TO 'ISO, DMY'")
        for _ in range(3):
            assert london.execute(query, prepare=True).fetchone() == (1704067200, january)
            assert tokyo.execute(query, prepare=True).fetchone() == (1704034800, february)
        with london.transaction():
            london.execute("SET LOCAL timezone TO 'Asia/Tokyo'")
            london.execute("SET LOCAL datestyle TO 'ISO, DMY'")
        with connect(autocommit=True) as other, other.transaction():
            other.execute("SET LOCAL timezone TO 'Asia/Tokyo'")
            assert other.execute(query, prepare=True).fetchone() == (1704034800, january)
        with connect(autocommit=True) as other, other.pipeline():
            other.execute("SET timezone TO 'Asia/Tokyo'")
            found = other.execute(query, prepare=True)
            assert found.fetchone() == (1704034800, january)
        with connect(autocommit=True) as other:
            other.execute("SELECT set_config('timezone', 'Asia/Tokyo', false)")
            assert other.execute(query, prepare=True).fetchone() == (1704034800, january)
        with connect(autocommit=True) as other:
            assert other.execute(query, prepare=True).fetchone() == (1704067200, january)
        assert london.execute(query, prepare=True).fetchone() == (1704067200, january)


def many():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS psycopg_many")
        cursor.execute("CREATE TABLE psycopg_many (id int, name text)")
        cursor.executemany("INSERT INTO psycopg_many VALUES (%s, %s)", [(n, f"name {n}") for n in range(1000)])
        connection.commit()
        cursor.executemany(
            "INSERT INTO psycopg_many VALUES (%s, %s) RETURNING id", [(n, "") for n in range(5)], returning=True
        )
        returned = [result.fetchone()[0] for result in cursor.results()]
        assert returned == list(range(5)), returned
        connection.commit()
        assert cursor.execute("SELECT count(*) FROM psycopg_many").fetchone() == (1005,)


def pipelines():
    with connect(autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS psycopg_pipeline")
        connection.execute("CREATE TABLE psycopg_pipeline (id int PRIMARY KEY)")
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int", (n,)) for n in range(500)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(500))

        with connection.pipeline() as pipeline:
            connection.execute("INSERT INTO psycopg_pipeline VALUES (1)")
            pipeline.sync()
            read = connection.execute("SELECT count(*) FROM psycopg_pipeline")
            pipeline.sync()
            assert read.fetchone() == (1,), "a pipelined read sees the write before it"

        # An error in the middle: what follows up to the sync is not run, what comes after it is.
        try:
            with connection.pipeline() as pipeline:
                connection.execute("INSERT INTO psycopg_pipeline VALUES (2)")
                connection.execute("INSERT INTO psycopg_pipeline VALUES (1)")
                connection.execute("INSERT INTO psycopg_pipeline VALUES (3)")
                pipeline.sync()
        except psycopg.errors.UniqueViolation:
            pass
        else:
            raise AssertionError("the key is unique")
        ids = connection.execute("SELECT id FROM psycopg_pipeline ORDER BY id").fetchall()
        assert ids == [(1,)], ids

        with connection.pipeline(), connection.transaction():
            for n in range(10, 20):
                connection.execute("INSERT INTO psycopg_pipeline VALUES (%s)", (n,))
        assert connection.execute("SELECT count(*) FROM psycopg_pipeline").fetchone() == (11,)


def cursors():
    with connect() as connection:
        with connection.cursor(name="by_pieces") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT n FROM generate_series(1, 1050) n")
            assert [n for (n,) in cursor] == list(range(1, 1051))
        with connection.cursor(name="to_and_fro", scrollable=True) as cursor:
            cursor.execute("SELECT n FROM generate_series(1, 10) n")
            assert cursor.fetchmany(3) == [(1,), (2,), (3,)]
            cursor.scroll(-2)
            assert cursor.fetchone() == (2,)
        with connection.cursor(name="held", withhold=True) as cursor:
            cursor.execute("SELECT n FROM generate_series(1, 10) n")
            connection.commit()
            assert cursor.fetchmany(4) == [(1,), (2,), (3,), (4,)]
            connection.commit()
            assert len(cursor.fetchall()) == 6
        with connection.cursor() as cursor:
            assert sum(1 for _ in cursor.stream("SELECT n FROM generate_series(1, 3000) n")) == 3000


def copies():
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS psycopg_copy")
        cursor.execute("CREATE TABLE psycopg_copy (id int, name text)")
        with cursor.copy("COPY psycopg_copy FROM STDIN") as copy:
            for n in range(20000):
                copy.write_row((n, f"name\t{n}"))
        connection.commit()
        with cursor.copy("COPY (SELECT * FROM psycopg_copy ORDER BY id) TO STDOUT") as copy:
            rows = list(copy.rows())
        assert len(rows) == 20000 and rows[7] == ("7", "name\t7"), rows[7]
        connection.commit()
        with cursor.copy("COPY psycopg_copy FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text"])
            copy.write_row((-1, "binary"))
        assert cursor.execute("SELECT name FROM psycopg_copy WHERE id = -1").fetchone() == ("binary",)
        connection.commit()
        try:
            with cursor.copy("COPY psycopg_copy FROM STDIN") as copy:
                copy.write("not a number\tx\n")
        except psycopg.errors.InvalidTextRepresentation:
            connection.rollback()
        else:
            raise AssertionError("the row is wrong")
        try:
            with cursor.copy("COPY psycopg_copy FROM STDIN") as copy:
                copy.write_row((1, "x"))
                raise RuntimeError("the application gives up")
        except (RuntimeError, psycopg.errors.QueryCanceled):
            connection.rollback()
        assert cursor.execute("SELECT count(*) FROM psycopg_copy").fetchone() == (20001,)


def settings():
    with connect(options="-c statement_timeout=12345", application_name="psycopg client") as connection:
        connection.autocommit = True
        for _ in range(3):
            assert connection.execute("SHOW statement_timeout").fetchone() == ("12345ms",)
            assert connection.execute("SHOW application_name").fetchone() == ("psycopg client",)
        connection.execute("SET search_path TO pg_catalog")
        connection.execute("SET timezone TO 'Asia/Tokyo'")
        for _ in range(3):
            assert connection.execute("SHOW search_path").fetchone() == ("pg_catalog",)
            assert connection.execute("SELECT current_setting('TimeZone')").fetchone() == ("Asia/Tokyo",)
        assert connection.info.parameter_status("TimeZone") == "Asia/Tokyo"
        with connect(autocommit=True) as other:
            assert other.execute("SHOW statement_timeout").fetchone() == ("0",)
            assert other.execute("SHOW search_path").fetchone() != ("pg_catalog",)
        connection.execute("RESET ALL")
        assert connection.execute("SHOW statement_timeout").fetchone() == ("12345ms",)


def notifications():
    with connect(autocommit=True) as listener, connect(autocommit=True) as notifier:
        listener.execute("LISTEN psycopg_channel")
        notifier.execute("NOTIFY psycopg_channel, 'hello'")
        notifier.execute("SELECT pg_notify('psycopg_channel', 'again')")
        heard = [notify.payload for notify in listener.notifies(timeout=20, stop_after=2)]
        assert heard == ["hello", "again"], heard
        listener.execute("UNLISTEN *")
    notices = []
    with connect(autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'a notice'; END $$")
    assert notices == ["a notice"], notices


def temporary_tables():
    with connect(autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE psycopg_temporary (n int)")
        for n in range(5):
            connection.execute("INSERT INTO psycopg_temporary VALUES (%s)", (n,))
            assert connection.execute("SELECT count(*) FROM psycopg_temporary").fetchone() == (n + 1,)
    with connect(autocommit=True) as connection:
        assert connection.execute("SELECT to_regclass('psycopg_temporary')").fetchone() == (None,)


def cancels():
    with connect(autocommit=True) as connection:
        for cancel in (connection.cancel, connection.cancel_safe):
            over = threading.Event()
            canceller = threading.Thread(target=cancel_until, args=(over, cancel))
            canceller.start()
            try:
                connection.execute("SELECT pg_sleep(60)")
            except psycopg.errors.QueryCanceled:
                pass
            else:
                raise AssertionError("the statement was to be cancelled")
            finally:
                over.set()
                canceller.join()
            assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.execute("SET statement_timeout = '50ms'")
        try:
            connection.execute("SELECT pg_sleep(60)")
        except psycopg.errors.QueryCanceled:
            pass
        else:
            raise AssertionError("the statement was to time out")


def cancel_until(over, cancel):
    """Nobody tells when the statement begins to run, so the cancel is repeated."""
    while not over.wait(0.05):
        cancel()


async def in_parallel():
    async def one(number):
        async with await psycopg.AsyncConnection.connect("", autocommit=True) as connection:
            for turn in range(50):
                cursor = await connection.execute("SELECT %s::int, %s::int", (number, turn), prepare=turn % 2 == 0)
                assert await cursor.fetchone() == (number, turn)
            async with connection.transaction():
                cursor = await connection.execute("SELECT txid_current() = txid_current()")
                assert await cursor.fetchone() == (True,)

    await asyncio.gather(*(one(number) for number in range(20)))


def main():
    for part in (
        queries,
        transactions,
        prepared_statements,
        changing_tables,
        settings_of_literals,
        many,
        pipelines,
        cursors,
        copies,
        settings,
        notifications,
        temporary_tables,
        cancels,
    ):
        part()
        print(part.__name__, flush=True)
    asyncio.run(in_parallel())
    print("in_parallel", flush=True)


if __name__ == "__main__":
    main()
