-- What people do with psql. The output must be the same through pgweir as from the server itself, process numbers aside.
\set VERBOSITY verbose
\pset pager off
\timing off

-- Tables, as people look at them.
CREATE SCHEMA IF NOT EXISTS psql_client;
SET search_path TO psql_client, public;
CREATE TABLE items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, price numeric(10, 2) DEFAULT 0);
CREATE TABLE parts (item_id int REFERENCES items ON DELETE CASCADE, note text);
CREATE INDEX parts_item ON parts (item_id);
CREATE VIEW dear AS SELECT * FROM items WHERE price > 100;
\d
\d items
\d+ parts
\d dear
\dt psql_client.*
\di
\dv
\df pg_catalog.pg_sleep
\sv dear

-- Ordinary statements, and errors that leave the session usable.
INSERT INTO items (name, price) SELECT 'item ' || n, n * 10 FROM generate_series(1, 20) n;
SELECT count(*), sum(price) FROM items;
SELECT no_such_column FROM items;
SELECT * FROM no_such_table;
SELECT 'not a number'::int;
INSERT INTO parts VALUES (1000, 'no such item');
SELECT 1;
SELECT 1 AS one \; SELECT 2 AS two \; SELECT 3 AS three;
DO $$ BEGIN RAISE NOTICE 'a notice'; RAISE WARNING 'a warning'; END $$;

-- Variables from rows, and statements from rows.
SELECT count(*) AS total, max(id) AS last FROM items \gset
\echo :total :last
SELECT :total + :last AS sum;
SELECT format('SELECT %L AS generated', n) FROM generate_series(1, 3) n \gexec
SELECT 1 AS a, 2 AS b \gx
SELECT name, price FROM items ORDER BY id LIMIT 2 \gdesc
SELECT n, n % 2 AS odd, 'x' FROM generate_series(1, 4) n \crosstabview n odd

-- Transactions.
BEGIN;
INSERT INTO items (name) VALUES ('dropped');
ROLLBACK;
BEGIN;
SAVEPOINT here;
SELECT 1 / 0;
SELECT 'ignored until the rollback';
ROLLBACK TO here;
INSERT INTO items (name) VALUES ('kept');
COMMIT;
SELECT count(*) FROM items;
BEGIN READ ONLY;
SELECT count(*) FROM items;
INSERT INTO items (name) VALUES ('refused');
COMMIT;
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1 / 0;
SELECT 'the savepoint of psql was rolled back';
COMMIT;
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT off
INSERT INTO items (name) VALUES ('also dropped');
ROLLBACK;
\set AUTOCOMMIT on

-- Cursors by pieces.
\set FETCH_COUNT 7
SELECT n FROM generate_series(1, 20) n;
\unset FETCH_COUNT
BEGIN;
DECLARE few CURSOR FOR SELECT id FROM items ORDER BY id;
FETCH 3 FROM few;
MOVE 5 IN few;
FETCH 1 FROM few;
CLOSE few;
COMMIT;

-- COPY, from the client and to it.
COPY parts FROM STDIN;
1	from the script
2	\N
\.
\copy parts FROM PROGRAM 'printf "3,a file\n4,\n"' WITH (FORMAT csv)
COPY (SELECT * FROM parts ORDER BY item_id) TO STDOUT;
\copy (SELECT item_id, note FROM parts ORDER BY 1 DESC) TO STDOUT WITH (FORMAT csv, HEADER)
COPY parts FROM STDIN;
not a number	x
\.
SELECT count(*) FROM parts;

-- Prepared in SQL, temporary, and settings: all of it belongs to this session.
PREPARE by_id (int) AS SELECT name FROM items WHERE id = $1;
EXECUTE by_id(3);
EXECUTE by_id(4);
DEALLOCATE by_id;
EXECUTE by_id(5);
CREATE TEMPORARY TABLE mine (n int);
INSERT INTO mine VALUES (1), (2);
SELECT sum(n) FROM mine;
SET TimeZone TO 'Asia/Tokyo';
SHOW TimeZone;
SELECT timestamptz '2024-01-01 00:00:00+00';
SET LOCAL work_mem TO '1MB';
SELECT set_config('pgweir_test.value', 'kept', false);
SHOW pgweir_test.value;
RESET TimeZone;
SELECT pg_advisory_lock(7), pg_advisory_unlock(7);

-- A statement repeated until it fails.
CREATE SEQUENCE countdown;
SELECT 10 / (4 - nextval('countdown')) AS quotient \g (format=unaligned)
\pset title 'watched'
SELECT 10 / (4 - nextval('countdown')) AS quotient \watch 0.01
\pset title

-- Other people's messages.
LISTEN psql_channel;
NOTIFY psql_channel, 'hello';
SELECT pg_notify('psql_channel', 'again');
UNLISTEN *;

-- Encodings and long texts.
SELECT 'größe 数' AS text;
SET client_encoding TO 'LATIN1';
SHOW client_encoding;
SELECT length('gr' || chr(246) || 'sse');
RESET client_encoding;
SELECT length(repeat('long', 500000));
DISCARD ALL;
SHOW search_path;
DROP SCHEMA psql_client CASCADE;
