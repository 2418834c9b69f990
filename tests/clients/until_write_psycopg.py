"""Blocks that psycopg opens by itself: reads run on a standby until the first write."""

import sys

import psycopg

WHERE = "SELECT current_setting('sandbox.port')"


def main():
    dsn, primary = sys.argv[1:]
    with psycopg.connect(dsn) as connection:
        # More often than psycopg needs to prepare a statement by name.
        for _ in range(8):
            first = connection.execute(WHERE + " WHERE 1 = %s", (1,)).fetchone()[0]
            second = connection.execute(WHERE).fetchone()[0]
            connection.commit()
            assert first == second != primary, (first, second)
        connection.execute("CREATE TABLE written (n int)")
        assert connection.execute(WHERE).fetchone()[0] == primary
        connection.execute("INSERT INTO written SELECT 1")
        connection.rollback()
        try:
            connection.execute("SELECT * FROM written")
            raise AssertionError("it was rolled back")
        except psycopg.errors.UndefinedTable:
            pass
        try:
            connection.execute("SELECT 1")
            raise AssertionError("the block has failed")
        except psycopg.errors.InFailedSqlTransaction:
            pass
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    print("blocks")


main()
