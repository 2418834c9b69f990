# shellcheck shell=bash
# `./dev image`: builds the container image with whatever works here, then tries it. Sourced by ./dev, which sets the
# shell's options and says where the repository and PostgreSQL are.
#
# Where no registry of images can be reached, both base images are made of Debian's packages: root only.

# shellcheck disable=SC2154 # repo is set by ./dev
image() {
    local profile=release
    [ "${1:-}" != --dev ] || profile=dev
    setup_for_demo
    image_work=$repo/target/image
    mkdir -p "$image_work"
    choose_engine
    say "building the image with ${engine[0]}"
    "${engine[@]}" build "${build_options[@]}" --build-arg "PROFILE=$profile" \
        --build-arg "BUILD_IMAGE=$build_base" --build-arg "RUNTIME_IMAGE=$runtime_base" --tag pgweir .
    trial=$(mktemp -d "${TMPDIR:-/tmp}/pgweir-image.XXXXXX")
    trap end_trial EXIT
    try_image
    if [ -n "${offline:-}" ]; then
        rm -f "$image_work/pgweir.tar"
        "${engine[@]}" push --quiet pgweir "docker-archive:$image_work/pgweir.tar:pgweir:latest"
        say "docker load --input $image_work/pgweir.tar"
    fi
    say "the image pgweir is built, and answered a write, a read and its health check"
}

# Sets engine, build_options, build_base and runtime_base: the first engine that works and gets the base images.
choose_engine() {
    local name
    for name in docker podman buildah; do
        if have "$name" && timeout 30 "$name" info >/dev/null 2>&1; then
            engine=("$name") build_options=() prefix=
            # The default format of podman and buildah has no place for a health check.
            [ "$name" = docker ] || build_options=(--format docker) prefix=docker://
            # Needs no container runtime, which Debian's buildah comes without.
            [ "$name" != buildah ] || build_options+=(--isolation chroot)
            if build_base=$("$name" pull --quiet "$prefix$(default_base BUILD_IMAGE)" 2>/dev/null) &&
                runtime_base=$("$name" pull --quiet "$prefix$(default_base RUNTIME_IMAGE)" 2>/dev/null); then
                return 0
            fi
            say "$name works, but gets no base images"
        fi
    done
    use_local_bases
}

default_base() { sed -n "s/^ARG $1=//p" Dockerfile; }

# No registry of images: both bases are made of Debian's packages, and the toolchain and the crates are this machine's.
use_local_bases() {
    is_root || die "no engine here gets the base images, and only root can make them of Debian's packages"
    if ! have buildah || ! have debootstrap; then debian_packages buildah debootstrap; fi
    say "making the base images of Debian's packages"
    engine=(buildah --root "$image_work/storage" --runroot "$image_work/run" --storage-driver vfs)
    offline=yes build_base=localhost/pgweir-build-base runtime_base=localhost/pgweir-runtime-base
    make_base "$runtime_base"
    make_base "$build_base" --include=gcc,libc6-dev
    cargo vendor --locked --quiet --versioned-dirs "$image_work/vendor" >/dev/null
    build_options=(--format docker --isolation chroot --layers=false
        --volume "$(rustc --print sysroot):/opt/rust:ro" --volume "$image_work/vendor:/opt/vendor:ro")
}

make_base() {
    local name=$1 root=$image_work/root container
    ! "${engine[@]}" inspect --type image "$name" >/dev/null 2>&1 || return 0
    rm -rf "$root"
    debootstrap --variant=minbase "${@:2}" bookworm "$root" >"$image_work/debootstrap.log" ||
        die "debootstrap failed: see $image_work/debootstrap.log"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,info,locale,man}/*
    mkdir -p "$root/opt/cargo"
    cat >"$root/opt/cargo/config.toml" <<'TOML'
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/opt/vendor"
TOML
    tar --create --numeric-owner --directory "$root" --file "$image_work/root.tar" .
    container=$("${engine[@]}" from scratch)
    "${engine[@]}" add --quiet "$container" "$image_work/root.tar" /
    "${engine[@]}" config --env CARGO_HOME=/opt/cargo \
        --env PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    "${engine[@]}" commit --quiet --rm "$container" "$name" >/dev/null
    rm -rf "$root" "$image_work/root.tar"
}

# One write, one read and the health check, through the image, in front of a primary and a standby.
try_image() {
    local primary standby listen http answer
    chmod 755 "$trial"
    primary=$(free_port) standby=$(free_port) listen=$(free_port) http=$(free_port)
    start_trial_cluster "$primary" "$standby"
    cat >"$trial/proxy.toml" <<TOML
[listen]
address = "127.0.0.1:$listen"
[auth]
method = "trust"
[admin]
http_address = "127.0.0.1:$http"
[cluster.main]
tls_mode = "disable"
[[cluster.main.node]]
address = "127.0.0.1:$primary"
[[cluster.main.node]]
address = "127.0.0.1:$standby"
TOML
    chmod 644 "$trial/proxy.toml"
    start_container
    wait_healthy "127.0.0.1:$http"
    answer=$(trial_sql "$listen" "CREATE TABLE trial (note text); INSERT INTO trial VALUES ('kept')")
    [ "$answer" = 'INSERT 0 1' ] || die "the write through the image was answered: $answer"
    answer=$(trial_sql "$listen" "SELECT note FROM trial")
    [ "$answer" = kept ] || die "the read through the image was answered: $answer"
}

trial_sql() {
    psql --no-psqlrc --tuples-only --no-align --set=ON_ERROR_STOP=1 --command="$2" \
        "host=127.0.0.1 port=$1 user=postgres dbname=postgres sslmode=disable connect_timeout=10" | tail -n 1
}

start_trial_cluster() {
    local settings="-c listen_addresses=127.0.0.1 -c unix_socket_directories=$trial/data -c fsync=off"
    if is_root; then chown "$(postgres_user)" "$trial"; fi
    as_postgres mkdir "$trial/data"
    as_postgres initdb --pgdata="$trial/data/primary" --username=postgres --auth=trust --no-sync >"$trial/log"
    as_postgres pg_ctl start --pgdata="$trial/data/primary" --log="$trial/data/primary.log" --silent \
        --options="-p $1 $settings"
    as_postgres pg_basebackup --pgdata="$trial/data/standby" --dbname="host=127.0.0.1 port=$1 user=postgres" \
        --checkpoint=fast --no-sync --write-recovery-conf
    as_postgres pg_ctl start --pgdata="$trial/data/standby" --log="$trial/data/standby.log" --silent \
        --options="-p $2 $settings"
}

start_container() {
    local mount=$trial/proxy.toml:/etc/pgweir/proxy.toml:ro start
    if [ "${engine[0]}" = buildah ]; then
        start=$("${engine[@]}" inspect --type image --format \
            '{{range .Docker.Config.Entrypoint}}{{.}} {{end}}{{range .Docker.Config.Cmd}}{{.}} {{end}}' pgweir)
        container=$("${engine[@]}" from pgweir)
        in_container=("${engine[@]}" run --isolation chroot "$container" --)
        # shellcheck disable=SC2086 # the image's command is words
        setsid "${engine[@]}" run --isolation chroot --volume "$mount" "$container" -- $start >"$trial/pgweir.log" 2>&1 &
        container_pid=$!
    else
        container=$("${engine[@]}" run --detach --network host --volume "$mount" pgweir)
        in_container=("${engine[@]}" exec "$container")
    fi
}

# Asks the way that the image itself is asked, on the trial's port.
wait_healthy() {
    local format='{{range .Config.Healthcheck.Test}}{{.}} {{end}}' words tries
    if [ "${engine[0]}" = buildah ]; then
        words=$("${engine[@]}" inspect --type image --format "${format/.Config/.Docker.Config}" pgweir)
    else
        words=$("${engine[@]}" inspect --format "$format" pgweir)
    fi
    words=${words#CMD }
    for ((tries = 0; tries < 60; tries++)); do
        # shellcheck disable=SC2086 # the health check is words
        if "${in_container[@]}" ${words/127.0.0.1:9632/$1} >>"$trial/health.log" 2>&1; then return 0; fi
        sleep 0.5
    done
    tail -n 20 "$trial"/*.log >&2
    die "the image did not become healthy"
}

end_trial() {
    if [ -n "${container_pid:-}" ]; then
        kill -- "-$container_pid" 2>/dev/null || true
        wait "$container_pid" 2>/dev/null || true
        "${engine[@]}" rm "$container" >/dev/null
    elif [ -n "${container:-}" ]; then
        "${engine[@]}" rm --force "$container" >/dev/null
    fi
    local node
    for node in standby primary; do
        if [ -e "$trial/data/$node/postmaster.pid" ]; then
            as_postgres pg_ctl stop --pgdata="$trial/data/$node" --mode=immediate --silent
        fi
    done
    rm -rf "$trial"
}

# PostgreSQL refuses root.
postgres_user() { if getent passwd postgres >/dev/null; then echo postgres; else echo nobody; fi; }

as_postgres() {
    if is_root; then
        local user
        user=$(postgres_user)
        (cd / && setpriv --reuid="$user" --regid="$(id --group "$user")" --clear-groups --reset-env \
            env "PATH=$PATH" "$@")
    else
        "$@"
    fi
}

# A loopback port that nobody listens on now.
free_port() {
    local port
    for ((;;)); do
        port=$((20000 + RANDOM % 30000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return 0
        fi
    done
}
