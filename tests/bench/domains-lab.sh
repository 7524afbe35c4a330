#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What many domains cost a running daemon.
#
#     tests/bench/domains-lab.sh [--box] [DOMAINS...]      (as root; default: 1000 100000)
#
# An edge with two gateways that confirm everything (domains-gateway.py): DNS, control messages,
# store and maps. With --box, edge and gateway in one process, and a real DNS server behind it.
#
# Names of *.open.example are asked for until there are so many domains, then known ones, each at
# most once in three seconds, so that every question is put to the gateway as well. Prints
# answers per second, CPU time of the daemon for an answer, and memory. At last (not with --box)
# the gateway that all domains are with falls silent, and it is told how long no DNS was answered.
set -euo pipefail
cd "$(dirname "$0")/../.."
LAB_BUILD=${LAB_BUILD:-$PWD/build}
LAB_POOL4=100.64.0.0/10
LAB_POOL6=fd00:2021:1111:8000::/106
# shellcheck source=scripts/lab.sh
. scripts/lab.sh

ASK_ONCE=1000 # known names in one go, and how often
ASK_ROUNDS=5
GATEWAYS=(198.51.100.2 198.51.100.10)

box=
if [ "${1-}" = --box ]; then
    box=1
    shift
fi
[ $# -gt 0 ] || set -- 1000 100000

config_edge() {
    cat >"$LAB_CONFIG" <<YAML
bpffs: $LAB_BPFFS
state: $LAB_STATE
control_socket: $LAB_SOCKET
interfaces: [lan0, wan0]
control: {trusted: [198.51.100.0/24]}
edge:
  dns: {listen: ["192.0.2.1"], upstream: ["198.51.100.53"]}
  pools: {ipv4: $LAB_POOL4, ipv6: "$LAB_POOL6"}
  gateways: [{name: a, address: ${GATEWAYS[0]}}, {name: b, address: ${GATEWAYS[1]}}]
clients:
$LAB_CLIENTS
resources:
  - {id: 5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a12, name: open, address: "*.open.example", gateways: [a, b]}
grants:
  - {client: lan, resource: open}
YAML
}

pid=
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat"; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
edge_memlock() { bpftool -j map show pinned "$LAB_BPFFS/maps/edge" | jq '.bytes_memlock'; }
ask() { lab_client python3 tests/bench/domains-ask.py 192.0.2.1 open.example "$@"; }
states() { lab_fqdnat -j gateway show | jq -c '[.[] | {name, state, domains, confirmed, limited: .messages.limited}]'; }

# line WHAT TICKS ANSWERS SECONDS REPEATED REFUSED
line() {
    awk -v what="$1" -v ticks="$2" -v n="$3" -v s="$4" -v again="$5" -v no="$6" \
        -v hz="$(getconf CLK_TCK)" 'BEGIN {
        printf "%-20s %8d answers  %8.0f a second  %7.1f us CPU each  (%d repeated, %d refused)\n",
               what, n, n / s, ticks / hz * 1e6 / n, again, no }'
}

new_names() {
    local before told
    before=$(cpu_ticks)
    read -r -a told < <(ask "$1" "$2")
    sleep 3 # answers that are on their way
    line "new names to $2" $(($(cpu_ticks) - before)) "${told[@]}"
}

known_names() {
    local before told i ticks=0 sum=(0 0 0 0)
    for _ in $(seq $ASK_ROUNDS); do
        sleep 3
        before=$(cpu_ticks)
        read -r -a told < <(ask 0 "$1" --sample $ASK_ONCE)
        sleep 1
        ticks=$((ticks + $(cpu_ticks) - before))
        for i in 0 1 2 3; do
            sum[i]=$(awk "BEGIN { print ${sum[i]} + ${told[i]} }")
        done
    done
    line "known of $1" "$ticks" "${sum[@]}"
}

memory() {
    printf '%20s RSS %d MB, edge map %d MB, gateways %s\n' '' $(($(rss_kb) / 1024)) \
        $(($(edge_memlock) >> 20)) "$(states)"
}

# One question after another for half a minute: the longest that one had to wait.
silence() {
    local before
    before=$(cpu_ticks)
    lab_stop gateway-a
    lab_client python3 tests/bench/domains-ask.py 192.0.2.1 open.example 0 "$1" --pause 30
    printf 'daemon CPU of these 30 s: %d ms\n' $((($(cpu_ticks) - before) * 1000 / $(getconf CLK_TCK)))
    states
}

lab_init "fqdom-$$"
trap lab_down EXIT
lab_up
if [ ! "$box" ]; then
    config_edge
    for i in 0 1; do
        lab_spawn "gateway-$(printf %b "\\x6$((i + 1))")" "$LAB_NET" \
            python3 tests/bench/domains-gateway.py "${GATEWAYS[i]}"
    done
fi
echo 'limits: {domains: 1048000, dns_per_client: 0, new_names_per_client: 0, dns_requests: 65536, resolutions: 65536}' \
    >>"$LAB_CONFIG"
lab_daemon_start
pid=$(lab_pid fqdnatd)

have=0
printf 'empty: RSS %d MB, edge map %d MB\n' $(($(rss_kb) / 1024)) $(($(edge_memlock) >> 20))
for domains in "$@"; do
    new_names "$have" "$domains"
    known_names "$domains"
    memory
    have=$domains
done
[ "$box" ] || silence "$have"
