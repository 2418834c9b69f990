# shellcheck shell=bash
# `./dev clients`: runs the suites of clients of PostgreSQL, unchanged, directly and through pgweir.
# Sourced by ./dev, which sets the shell's options and says where the repository and PostgreSQL are.
#
# Each suite's source package is fetched by pip and runs against `pgweir demo`: first on its primary, then on pgweir. A
# test that ends otherwise through pgweir must be named in docs/clients.md.

client_suites=(asyncpg psycopg2)
client_packages=(asyncpg==0.30.0 psycopg2-binary==2.9.10 pytest==9.2.0 pytest-timeout==2.4.0 distro==1.9.0)
client_sources=(asyncpg==0.30.0 psycopg2==2.9.10)

# shellcheck disable=SC2154 # repo is set by ./dev
clients() {
    local suites=("$@") suite place differ=0
    [ ${#suites[@]} -gt 0 ] || suites=("${client_suites[@]}")
    setup_toolchain
    locked setup_postgres any
    place=$(cache_for_postgres clients)
    locked setup_client_suites "$place"
    cargo build --locked --package pgweir
    start_demo "$place"
    for suite in "${suites[@]}"; do
        compare_suite "$suite" "$place" || differ=1
    done
    return "$differ"
}

# Unpacks the sources, and installs what they test and need.
setup_client_suites() {
    local place=$1 source wanted="${client_packages[*]} ${client_sources[*]}"
    [ "$(cat "$place/is-set-up" 2>/dev/null)" != "$wanted" ] || return 0
    python_with_pip || die "the suites need python3 with pip (Debian: apt-get install python3-pip)"
    # What psycopg2 is built with; its source package looks for it although nothing is built.
    have pg_config || debian_packages libpq-dev
    mkdir -p "$place"
    say "fetching ${client_sources[*]}"
    python3 -m venv --without-pip "$place/venv"
    python3 -m pip --python "$place/venv/bin/python" install --quiet --disable-pip-version-check "${client_packages[@]}"
    for source in "${client_sources[@]}"; do
        python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary "${source%%=*}" \
            --dest "$place" "$source"
        tar --extract --gzip --no-same-owner --directory "$place" --file "$place/${source/==/-}.tar.gz"
    done
    echo "$wanted" >"$place/is-set-up"
}

# A primary, two standbys and pgweir, until this script ends. Sets demo_primary and demo_pgweir, their ports.
start_demo() {
    local log=$1/demo.log
    : >"$log"
    "$(built dev)" demo >>"$log" 2>&1 &
    # shellcheck disable=SC2064 # this process and no other
    trap "kill -INT $!; wait $! || true" EXIT
    until grep -q 'Ctrl-C stops' "$log"; do
        kill -0 $! 2>/dev/null || die "the demo does not start: see $log"
        sleep 0.2
    done
    demo_primary=$(sed -n 's/^ *node1 .* port \([0-9]*\) .*/\1/p' "$log")
    demo_pgweir=$(sed -n 's/^Try it:.* port=\([0-9]*\) .*/\1/p' "$log")
    psql -qh 127.0.0.1 -p "$demo_primary" -U postgres -c 'CREATE DATABASE psycopg2_test'
    psql -qh 127.0.0.1 -p "$demo_primary" -U postgres -d psycopg2_test -c 'CREATE EXTENSION IF NOT EXISTS hstore'
}

# Runs a suite both ways and prints the tests that end otherwise; fails if one of them is not documented.
compare_suite() {
    local suite=$1 place=$2 way differs unknown=0
    for way in direct:$demo_primary pgweir:$demo_pgweir; do
        say "$suite, ${way%:*}"
        (run_suite "$suite" "$place" "${way#*:}") >"$place/$suite.${way%:*}" 2>&1 || true
        grep ' passed' "$place/$suite.${way%:*}" || die "the suite does not run: see $place/$suite.${way%:*}"
        sed -n 's/^\(FAILED\|ERROR\) \([^ ]*\).*/\2/p' "$place/$suite.${way%:*}" | sort >"$place/$suite.${way%:*}.failed"
    done
    for differs in $(comm -13 "$place/$suite.direct.failed" "$place/$suite.pgweir.failed"); do
        if grep -qF "\`${differs##*::}\`" "$repo/docs/clients.md"; then
            echo "  differs as documented: $differs"
        else
            echo "  DIFFERS: $differs (see $place/$suite.pgweir)"
            unknown=1
        fi
    done
    return "$unknown"
}

# Called in a shell of its own.
run_suite() {
    local suite=$1 place=$2 port=$3
    local pytest=("$place/venv/bin/python" -m pytest -q --timeout 60 -p no:cacheprovider -rfE)
    export PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres PGPASSWORD=postgres
    case $suite in
        asyncpg)
            cd "$place"/asyncpg-*/tests || exit
            PGDATABASE=postgres "${pytest[@]}" --ignore=test__environment.py --ignore=test__sourcecode.py .
            ;;
        psycopg2)
            cd "$place"/psycopg2-*/ || exit
            PSYCOPG2_TESTDB=psycopg2_test PSYCOPG2_TESTDB_HOST=$PGHOST PSYCOPG2_TESTDB_PORT=$port \
                PSYCOPG2_TESTDB_USER=$PGUSER "${pytest[@]}" tests
            ;;
        *) die "there is no suite $suite" ;;
    esac
}
