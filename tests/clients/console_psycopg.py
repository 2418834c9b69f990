"""Looks at the console with psycopg 3, which uses the extended protocol where parameters or prepared statements ask for it."""

import psycopg
from psycopg.rows import dict_row

COMMANDS = "CLIENTS CONFIG DATABASES LISTS NODES POOLS SERVERS STATE STATS STATS_TOTALS USERS VERSION".split()


def main():
    for autocommit in (True, False):
        with psycopg.connect("", autocommit=autocommit, row_factory=dict_row) as connection:
            for command in COMMANDS:
                plain = connection.execute(f"SHOW {command}").fetchall()
                prepared = connection.execute(f"SHOW {command}", prepare=True).fetchall()
                binary = connection.execute(f"SHOW {command}", binary=True).fetchall()
                assert [list(row) for row in plain] == [list(row) for row in prepared], command
                assert len(plain) == len(binary), command
            nodes = connection.execute("SHOW NODES").fetchall()
            assert [node["name"] for node in nodes] == ["node1", "node2"], nodes
            assert nodes[0]["role"] == "primary" and nodes[1]["role"] == "standby", nodes
            try:
                connection.execute("SHOW NONSENSE")
            except psycopg.Error as error:
                assert "SHOW HELP" in str(error), error
            else:
                raise AssertionError("there is no such command")
            connection.rollback()
            assert connection.execute("SHOW VERSION").fetchone()["version"]
    with psycopg.connect("", autocommit=True) as connection:
        with connection.pipeline():
            cursors = [connection.execute("SHOW POOLS") for _ in range(20)]
        assert len({tuple(column.name for column in cursor.description) for cursor in cursors}) == 1


if __name__ == "__main__":
    main()
