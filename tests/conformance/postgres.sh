# shellcheck shell=bash
# `./dev conformance`: fetches and builds PostgreSQL 15's own test suites, then runs them directly and through pgweir.
# Sourced by ./dev, which sets the shell's options and says where the repository and PostgreSQL are.
#
# The sources are Debian's, got by apt with lists of its own: the system's lists stay as they are, and an ordinary
# user can do it too. Nothing of PostgreSQL's text is in this repository.

# shellcheck disable=SC2154 # repo is set by ./dev
conformance() {
    setup_toolchain
    locked setup_postgres every
    locked setup_suites
    build_preload
    cargo build --locked --package pgweir --package pgweir-tests --bin pgweir --bin conformance
    PGWEIR_BIN=$(built dev)
    export PGWEIR_BIN PGWEIR_SUITES
    exec "$(dirname "$PGWEIR_BIN")/conformance" "$@"
}

# Sets PGWEIR_SUITES, a source tree of PostgreSQL 15 in which the three suites are built.
setup_suites() {
    local place tree
    place=$(cache_for_postgres conformance)
    for tree in "$place"/postgresql-15.*/suites-are-built; do
        if [ -e "$tree" ]; then
            PGWEIR_SUITES=$(dirname "$tree")
            return 0
        fi
    done
    local wanted=()
    have make || wanted+=(make)
    have bzip2 || wanted+=(bzip2)
    [ ${#wanted[@]} -eq 0 ] || debian_packages "${wanted[@]}"
    have apt-get || die "PostgreSQL 15's sources come from Debian by apt-get, which is not here"
    (umask 022 && mkdir -p "$place")
    download_sources "$place/download"
    build_suites "$place"
}

# Gets one .orig.tar.bz2: of the version that is installed, or else of the newest that the mirror really has.
download_sources() {
    local place=$1 versions version
    rm -rf "$place"
    mkdir -p "$place/lists/partial" "$place/cache/archives/partial"
    apt_options=(-o "Dir::Etc::sourcelist=$place/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$place/lists" -o "Dir::Cache=$place/cache")
    # shellcheck disable=SC2016 # apt-get expands them
    apt-get indextargets --format 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' 'Origin: Debian' |
        sort --unique >"$place/sources.list"
    say "reading Debian's lists of sources"
    apt-get "${apt_options[@]}" --quiet=2 update >"$place/log" 2>&1 || say "apt-get update complains: see $place/log"
    versions=$(
        dpkg-query --show --showformat '${source:Version}\n' postgresql-15 2>/dev/null || true
        apt-cache "${apt_options[@]}" showsrc postgresql-15 2>/dev/null | sed -n 's/^Version: //p'
    )
    [ -n "$versions" ] || die "Debian's mirror lists no sources of postgresql-15"
    for version in $versions; do
        say "fetching the sources of postgresql-15 $version"
        if (cd "$place" && apt-get "${apt_options[@]}" --quiet=2 source --download-only "postgresql-15=$version") \
            >>"$place/log" 2>&1; then
            return 0
        fi
    done
    die "none of these versions could be fetched: ${versions//$'\n'/ } (see $place/log)"
}

build_suites() {
    local place=$1 tree log=$1/build.log part
    say "building the suites: $log"
    rm -rf "$place"/postgresql-15.*
    (umask 022 && tar --extract --bzip2 --no-same-owner --directory "$place" --file "$place"/download/*.orig.tar.bz2)
    tree=$(echo "$place"/postgresql-15.*)
    (
        umask 022
        cd "$tree"
        ./configure --without-readline --without-zlib --without-icu
        for part in interfaces/libpq test/regress test/isolation test/modules/libpq_pipeline; do
            make --jobs="$(nproc)" -C "src/$part"
        done
        # A setting that the program sets has another name since PostgreSQL 16.
        cp -r src/test/modules/libpq_pipeline src/test/modules/libpq_pipeline_16
        cd src/test/modules/libpq_pipeline_16
        sed -i s/force_parallel_mode/debug_parallel_query/ libpq_pipeline.c
        make libpq_pipeline
    ) >"$log" 2>&1 </dev/null || die "the suites cannot be built (see $log)"
    touch "$tree/suites-are-built"
    PGWEIR_SUITES=$tree
}

# What makes isolationtester know its sessions behind a pooler.
build_preload() {
    cc -shared -fPIC -O1 -Wall -I "$PGWEIR_SUITES/src/interfaces/libpq" -I "$PGWEIR_SUITES/src/include" \
        -o "$PGWEIR_SUITES/src/test/isolation/isolation_sessions.so" "$repo/tests/conformance/isolation_sessions.c"
}
