#!/bin/sh
# quick.sh BUILD [SECONDS] - a first look at speed on this machine: the peer asked directly, then through the relay, in plain
# and encrypted, with few and with many clients.  Every reply is checked.  Peer, relay and load share the processors, so
# compare the lines with each other and not with other machines.
set -eu

build=$(cd "${1:-build}" && pwd)
seconds=${2:-3}
dir=$(mktemp -d "${TMPDIR:-/tmp}/relay-bench-XXXXXX")
relay='' peer=''

finish() {
	trap - EXIT INT TERM
	for pid in $relay $peer; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

until_true() {
	tries=200
	while ! "$@"; do
		tries=$((tries - 1))
		if test $tries = 0; then
			cat "$dir"/*.err >&2
			exit 1
		fi
		sleep 0.05
	done
}

load() {
	title=$1
	shift
	printf '\n== %s\n' "$title"
	"$build/relay-bench" load --seconds "$seconds" --warmup 0.5 "$@"
}

"$build/relay-peer" --listen 127.0.0.1:0 --id remhub3 --local locgw7 >"$dir/peer.out" 2>"$dir/peer.err" &
peer=$!
until_true test -s "$dir/peer.out"
port=$(sed -n 's/^listening .*://p' "$dir/peer.out")

mkdir "$dir/sock" "$dir/logs"
printf 'remhub3:dom:library:remhub3.example.org:127.0.0.1\n' >"$dir/hosts.tab"
printf 'PerlSetVar %s\n' "lonHostID locgw7" "londPort $port" "lonSockDir $dir/sock" "lonTabDir $dir" "lonDaemons $dir" \
    >"$dir/loncapa.conf"
"$build/relayd" -F --loncapa "$dir" >"$dir/relayd.out" 2>"$dir/relayd.err" &
relay=$!
until_true test -S "$dir/sock/remhub3"
pids=$relay
for child in $(cat "/proc/$relay/task/$relay/children"); do
	pids=$pids,$child
done

ids='--id remhub3 --local locgw7'
for clients in 1 50; do
	# shellcheck disable=SC2086 # the ids are four words
	load "peer alone, $clients clients" --tcp "127.0.0.1:$port" --clients $clients $ids
	load "relay, $clients clients, plain" --unix "$dir/sock/remhub3" --clients $clients --relay-pid "$pids" --strict
	load "relay, $clients clients, encrypted" --unix "$dir/sock/remhub3" --clients $clients --relay-pid "$pids" --strict \
	    --encrypt 100
done
