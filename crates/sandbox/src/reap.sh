# Ends every PostgreSQL server and every companion of the cluster in directory $2 and removes the directory.
# $1 is `now`, or `watch` to wait first until standard input ends, that is until our owner is gone.
cluster=$2
trap '' INT TERM HUP
[ "$1" = now ] || cat >/dev/null

# What still runs of these files' processes, each of which leads a process group. The first line of a file
# is a process, which is ours only if its command line names the cluster (the number may belong to somebody
# else by now).
running() {
    for file; do
        [ -r "$file" ] || continue
        pid=$(head -n 1 "$file")
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$cluster/" && echo "$pid"
    done
}

servers() {
    running "$cluster"/*/data/postmaster.pid
}

for pid in $(running "$cluster"/*.pid); do
    kill -KILL "-$pid"
done
for pid in $(servers); do
    # Immediate shutdown: the server ends its other processes and frees its memory. A frozen one must wake
    # up to do so.
    kill -QUIT "$pid"
    kill -CONT "$pid"
done
rounds=0
while [ -n "$(servers)" ] && [ "$rounds" -lt 140 ]; do
    sleep 0.05
    rounds=$((rounds + 1))
done
for pid in $(servers); do
    kill -KILL "$pid"
done
rm -rf "$cluster"
