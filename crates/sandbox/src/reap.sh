# Ends every PostgreSQL server below the cluster directory $2 and removes the directory.
# $1 is `now`, or `watch` to wait first until standard input ends, that is until our owner is gone.
cluster=$2
trap '' INT TERM HUP
[ "$1" = now ] || cat >/dev/null

# The servers that still run: the first line of postmaster.pid is the server's process, which is ours
# only if its command line names the cluster (the number may belong to somebody else by now).
servers() {
    for file in "$cluster"/*/data/postmaster.pid; do
        [ -r "$file" ] || continue
        pid=$(head -n 1 "$file")
        tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$cluster/" && echo "$pid"
    done
}

for pid in $(servers); do
    kill -QUIT "$pid"   # immediate shutdown: the server ends its own processes and frees its memory
    kill -CONT "$pid"   # a frozen server must wake up to do so
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
