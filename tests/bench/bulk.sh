#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Bulk TCP through a gateway: one stream of iperf3 by each hook, beside the kernel's forwarding.
#
#     tests/bench/bulk.sh [FILE.json]      (as root; ROUNDS=7 SECONDS_EACH=2)
#
# There is a lab of its own for each way, all at once, and they take turns: native (XDP in the driver), tc, and
# kernel (routes only: no program, no NAT). Sender and receiver have a CPU each, if there are two; what the gateway
# does, happens in softirqs on either. Offloads are as veth has them, so segments of 64 KB pass by kernel and tc, while a
# native program makes veth cut them.
set -euo pipefail
# shellcheck source=tests/bench/lab.sh
. "$(dirname "$0")/lab.sh"

ROUNDS=${ROUNDS:-7}
SECONDS_EACH=${SECONDS_EACH:-2}
WAYS=(kernel native tc)
NAME=files.corp.example
REAL4=198.51.100.11
REAL6=2001:db8:2::11
OUT=${1-}
RUN=$(mktemp -d)

way() { lab_init "fqbulk-$1-$$"; }

# shellcheck disable=SC2317 # by the trap
down() {
    local name
    for name in "${WAYS[@]}"; do
        way "$name"
        lab_down
    done
    rm -rf "$RUN"
}

forward() {
    ip -n "$LAB_NET" route add 192.0.2.0/24 via 198.51.100.1
    ip -n "$LAB_NET" -6 route add 2001:db8:1::/64 via 2001:db8:2::1
    printf '%s\n%s\n' "$REAL4" "$REAL6" >"$RUN/kernel"
}

# shellcheck disable=SC2317 # by lab_until
resolved() {
    local v4 v6
    v4=$(lab_client dig +tries=1 +time=2 +short @192.0.2.1 "$NAME" A)
    v6=$(lab_client dig +tries=1 +time=2 +short @192.0.2.1 "$NAME" AAAA)
    lab_fqdnat -j domain show "$NAME" | jq -e 'length > 0 and all(.[]; .state == "confirmed")' &&
        printf '%s\n%s\n' "${v4%%$'\n'*}" "${v6%%$'\n'*}" >"$RUN/$1"
}

start() {
    way "$1"
    LAB_MODE=$1 lab_up
    taskset -cp "$SERVER_CPU" "$(lab_pid iperf3)" >/dev/null
    taskset -cp "$SERVER_CPU" "$(lab_pid iperf3-6)" >/dev/null
    if [ "$1" = kernel ]; then
        forward
    else
        lab_daemon_start
        lab_until 10 resolved "$1" || { lab_say "$NAME is not confirmed" && return 1; }
    fi
}

# transfer WAY ADDRESS: Gbit/s
transfer() {
    way "$1"
    lab_client timeout $((SECONDS_EACH + 20)) taskset -c "$CLIENT_CPU" iperf3 -J -t "$SECONDS_EACH" -c "$2" >"$RUN/iperf.json" || true
    jq -e 'if .error then error(.error) else .end.sum_received.bits_per_second / 1e9 end' "$RUN/iperf.json"
}

measure() {
    local round name family address addresses
    for round in $(seq "$ROUNDS"); do
        for family in 4 6; do
            for name in "${WAYS[@]}"; do
                mapfile -t addresses <"$RUN/$name"
                address=${addresses[$((family == 4 ? 0 : 1))]}
                echo "$name-tcp$family $round $(transfer "$name" "$address")"
            done
        done
    done
}

# Lines "name round rate" become figures, ratios by round to the kernel's of the same IP version.
to_json() {
    jq -R -s '
        def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;
        [split("\n")[] | select(. != "") | split(" ") | {name: .[0], rate: (.[2] | tonumber)}]
        | group_by(.name) | map({key: .[0].name, value: map(.rate)}) | from_entries as $all
        | {skipped: {}, figures: [$all | to_entries[] | .value as $s
            | ("kernel-" + (.key | split("-")[1])) as $base
            | {name: .key, flows: 1, unit: "Gbit/s", median: ($s | median), min: ($s | min), max: ($s | max), samples: $s,
               ratio_to: (if .key == $base then {} else {($base): ([$s, $all[$base]] | transpose | map(.[0] / .[1]) | median)} end),
               command: "make bench-bulk"}]}'
}

if ! command -v iperf3 >/dev/null; then
    echo "bulk TCP: not measured, iperf3 is not installed (scripts/bootstrap.sh --bench)"
    [ -z "$OUT" ] || jq -n '{figures: [], skipped: {"bulk TCP": "iperf3 is not installed (scripts/bootstrap.sh --bench)"}}' >"$OUT"
    exit
fi
trap down EXIT
for name in "${WAYS[@]}"; do
    start "$name"
done
measure >"$RUN/samples"
to_json <"$RUN/samples" >"$RUN/figures.json"
jq -r 'def short: . * 100 | round / 100;
    .figures[] | [.name, (.median | short), .unit, "(\(.min | short)..\(.max | short))",
    (.ratio_to | to_entries | map("\(.value | short) x \(.key)") | join(", "))] | @tsv' "$RUN/figures.json"
[ -z "$OUT" ] || mv "$RUN/figures.json" "$OUT"
