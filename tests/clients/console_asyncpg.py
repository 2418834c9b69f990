"""Looks at the console with asyncpg, which knows the extended protocol only and wants binary values."""

import asyncio

import asyncpg

COMMANDS = "CLIENTS CONFIG DATABASES LISTS NODES POOLS SERVERS STATE STATS STATS_TOTALS USERS VERSION".split()


async def main():
    connection = await asyncpg.connect()
    for command in COMMANDS:
        rows = await connection.fetch(f"SHOW {command}")
        assert rows or command in ("CLIENTS", "USERS"), command
    nodes = await connection.fetch("SHOW NODES")
    assert [node["role"] for node in nodes] == ["primary", "standby"], nodes
    pools = await connection.fetch("SHOW POOLS")
    assert all(isinstance(pool["cl_active"], int) for pool in pools), pools
    statement = await connection.prepare("SHOW VERSION")
    assert "pgweir" in (await statement.fetchval()).lower()
    try:
        await connection.fetch("SHOW NONSENSE")
    except asyncpg.PostgresError as error:
        assert "SHOW HELP" in str(error), error
    else:
        raise AssertionError("there is no such command")
    await connection.close()
    async with asyncpg.create_pool(min_size=1, max_size=2) as pool:
        for _ in range(3):
            assert await pool.fetch("SHOW LISTS")


if __name__ == "__main__":
    asyncio.run(main())
