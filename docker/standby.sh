#!/bin/sh
# A streaming standby of postgres-1 in the official image: copies the primary once, then follows it.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    until PGPASSWORD=standby pg_basebackup --host="$PRIMARY_HOST" --username=standby --pgdata="$PGDATA" \
        --checkpoint=fast --wal-method=stream --write-recovery-conf; do
        echo "standby.sh: $PRIMARY_HOST is not ready yet" >&2
        rm -rf "${PGDATA:?}"/*
        sleep 1
    done
    chmod 0700 "$PGDATA"
fi
exec postgres
