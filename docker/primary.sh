#!/bin/sh
# Run once by the official image's entry point, on the primary's empty data directory.
set -eu

psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
CREATE ROLE app LOGIN PASSWORD 'app';
CREATE ROLE monitor LOGIN PASSWORD 'monitor' IN ROLE pg_monitor;
CREATE ROLE standby LOGIN REPLICATION PASSWORD 'standby';
CREATE DATABASE app OWNER app;
SQL

echo 'host replication standby all scram-sha-256' >>"$PGDATA/pg_hba.conf"
