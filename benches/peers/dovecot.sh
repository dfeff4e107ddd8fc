#!/bin/sh
# Starts and stops a Dovecot to compare with.
#
#   dovecot.sh start [DIR]   prints three lines: PORT=…, PID=…, DIR=…
#   dovecot.sh stop DIR      ends it by its process id and removes DIR
#
# DIR is where its mail goes: take one on the disk that mailrace is measured on. Users bench0 to
# bench63 and bench, all with the password bench. Then, for example:
#
#   eval "$(benches/peers/dovecot.sh start)"
#   mailrace bench --connect 127.0.0.1:$PORT --server-pid $PID
#   benches/peers/dovecot.sh stop "$DIR"
set -eu

here=$(cd "$(dirname "$0")" && pwd)

die() {
    echo "dovecot.sh: $*" >&2
    exit 1
}

install_if_missing() {
    command -v dovecot >/dev/null || [ -x /usr/sbin/dovecot ] && return
    command -v apt-get >/dev/null || die "install Dovecot with its IMAP server first"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install -y --no-install-recommends dovecot-imapd iproute2; } >&2
}

# A port that nobody listens on, from those that the kernel does not give out by itself.
free_port() {
    port=20143
    while ss -ltnH "sport = :$port" 2>/dev/null | grep -q .; do
        port=$((port + 1))
        [ $port -lt 20643 ] || die "no free port"
    done
    echo $port
}

start() {
    install_if_missing
    dir=${1:-$(mktemp -d "${TMPDIR:-/tmp}/mailrace-dovecot.XXXXXX")}
    mkdir -p "$dir/mail" "$dir/run" "$dir/state"
    port=$(free_port)
    { echo 'bench:bench'; seq 0 63 | sed 's/.*/bench&:bench/'; } > "$dir/passwd"
    if [ "$(id -u)" = 0 ]; then
        # Root starts it, but no process that touches mail or the network may be root.
        internal=dovecot login=dovenull owner=nobody
        chmod 755 "$dir"
        chown nobody "$dir/mail"
    else
        internal=$(id -un) login=$(id -un) owner=$(id -un)
    fi
    sed -e "s|@DIR@|$dir|g" -e "s|@PORT@|$port|g" -e "s|@LOGIN@|$login|g" \
        -e "s|@INTERNAL@|$internal|g" -e "s|@INTERNAL_GROUP@|$(id -gn $internal)|g" \
        -e "s|@UID@|$(id -u $owner)|g" -e "s|@GID@|$(id -g $owner)|g" \
        "$here/dovecot.conf.in" > "$dir/dovecot.conf"
    PATH=$PATH:/usr/sbin dovecot -c "$dir/dovecot.conf" >&2 || die "did not start: $dir/dovecot.log"
    # It goes to the background before it has written its process id.
    tries=0
    until [ -s "$dir/run/master.pid" ] && ss -ltnH "sport = :$port" | grep -q .; do
        tries=$((tries + 1))
        [ $tries -le 100 ] || die "did not start: $dir/dovecot.log"
        sleep 0.1
    done
    echo "PORT=$port"
    echo "PID=$(cat "$dir/run/master.pid")"
    echo "DIR=$dir"
}

stop() {
    dir=${1:?"stop needs the folder that start has printed"}
    [ -f "$dir/dovecot.conf" ] || die "$dir is no folder of mine"
    if [ -f "$dir/run/master.pid" ]; then
        pid=$(cat "$dir/run/master.pid")
        kill "$pid" 2>/dev/null || true
        # Its children write until they have heard of it.
        tries=0
        while kill -0 "$pid" 2>/dev/null; do
            tries=$((tries + 1))
            [ $tries -le 100 ] || die "process $pid does not end"
            sleep 0.1
        done
    fi
    rm -rf "$dir"
}

case ${1:-} in
start | stop) "$@" ;;
*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
