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
# answers per second, CPU time of the daemon for an answer, and memory; not with --box, too: CPU time
# for a DomainStatus of a domain drawn at random (one that changes nothing: read, decoded, found,
# believed), then the gateway that all domains are with falls silent, and it is told how long no DNS was
# answered. At the end a table, each number beside its ratio to the first column's.
#
# The edge takes and sends CONTROL_RATE messages a second (control.rate), more than anybody asks here.
set -euo pipefail
# shellcheck source=tests/bench/lab.sh
. "$(dirname "$0")/lab.sh"
large_pools

ASK_ONCE=1000 # known names in one go, and how often
ASK_ROUNDS=5
CONTROL_RATE=20000
GATEWAYS=(198.51.100.2 198.51.100.10)

box=
if [ "${1-}" = --box ]; then
    box=1
    shift
fi
[ $# -gt 0 ] || set -- 1000 100000
declare -A figure=() # "ROW DOMAINS": value

config_edge() {
    config_begin 'lan0, wan0'
    cat >>"$LAB_CONFIG" <<YAML
control: {trusted: [198.51.100.0/24], rate: $CONTROL_RATE}
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
cpu_us() { echo $(($(cpu_ns "$pid") / 1000)); }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
ask() { lab_client python3 tests/bench/domains-ask.py 192.0.2.1 open.example "$@"; }
states() { lab_fqdnat -j gateway show | jq -c '[.[] | {name, state, domains, confirmed, limited: .messages.limited}]'; }

divide() { awk "BEGIN { printf \"%.1f\", ($1) / ($2) }"; }

# line WHAT DOMAINS US ANSWERS SECONDS REPEATED REFUSED
line() {
    figure["$1_rate $2"]=$(divide "$4" "$5")
    figure["$1_us $2"]=$(divide "$3" "$4")
    printf '%-20s %8d answers  %8.0f a second  %7.1f us CPU each  (%d repeated, %d refused)\n' "$1 of $2" "$4" \
        "${figure["$1_rate $2"]}" "${figure["$1_us $2"]}" "$6" "$7"
}

new_names() {
    local before told
    before=$(cpu_us)
    read -r -a told < <(ask "$1" "$2")
    sleep 3 # answers that are on their way
    line new "$2" $(($(cpu_us) - before)) "${told[@]}"
}

# All that were asked for, as fast as their gateway may be asked.
confirmed() {
    local begin=$SECONDS n=0
    while n=$(lab_fqdnat -j gateway show | jq '[.[].confirmed // 0] | add') && [ "$n" -lt "$1" ]; do
        [ $((SECONDS - begin)) -lt 600 ] || break
        sleep 1
    done
    printf '%20s %d of %d confirmed %d s later\n' '' "$n" "$1" $((SECONDS - begin))
}

known_names() {
    local before told i us=0 sum=(0 0 0 0)
    for _ in $(seq $ASK_ROUNDS); do
        sleep 3
        before=$(cpu_us)
        read -r -a told < <(ask 0 "$1" --sample $ASK_ONCE)
        sleep 1
        us=$((us + $(cpu_us) - before))
        for i in 0 1 2 3; do
            sum[i]=$(awk "BEGIN { print ${sum[i]} + ${told[i]} }")
        done
    done
    line known "$1" "$us" "${sum[@]}"
}

# What gateways have said, as far as the edge has taken it.
taken() { lab_fqdnat -j gateway show | jq '[.[].messages.received_domain_status] | add'; }

# The gateway says again what it has just said of names drawn at random.
statuses() {
    local us n settled=-1 now
    n=$(taken)
    us=$(cpu_us)
    kill -USR1 "$(lab_pid gateway-a)"
    while sleep 2; do
        now=$(taken)
        [ "$now" != "$settled" ] || break
        settled=$now
    done
    us=$(($(cpu_us) - us))
    n=$((now - n))
    [ "$n" -gt 0 ] || { echo "no status was taken" && return 1; }
    figure["status_us $1"]=$(divide "$us" "$n")
    printf '%-20s %8d statuses %29.1f us CPU each\n' "status of $1" "$n" "${figure["status_us $1"]}"
}

memory() {
    local rss
    rss=$(rss_kb)
    figure["rss_bytes $1"]=$(divide "($rss - $rss_empty) * 1024" "$1")
    printf '%20s RSS %d MB, gateways %s\n' '' $((rss / 1024)) "$(states)"
}

# row TEXT FIGURE DOMAINS...
row() {
    local text=$1 name=$2 first=${figure["$2 $3"]-} n
    shift 2
    [ -n "$first" ] || return 0
    printf '%-36s' "$text"
    for n in "$@"; do
        awk -v v="${figure["$name $n"]}" -v first="$first" \
            'BEGIN { printf "  %9.1f (%5.2f)", v, (first > 0 ? v / first : 0) }'
    done
    echo
}

table() {
    printf '\n%-36s' domains
    printf '  %17d' "$@"
    echo
    row "known: answers a second" known_rate "$@"
    row "known: CPU of an answer, us" known_us "$@"
    row "new: answers a second" new_rate "$@"
    row "new: CPU of an answer, us" new_us "$@"
    row "CPU of a status, us" status_us "$@"
    row "resident, bytes a domain" rss_bytes "$@"
}

# One question after another for half a minute: the longest that one had to wait.
silence() {
    local before
    before=$(cpu_us)
    lab_stop gateway-a
    lab_client python3 tests/bench/domains-ask.py 192.0.2.1 open.example 0 "$1" --pause 30
    printf 'daemon CPU of these 30 s: %d ms\n' $((($(cpu_us) - before) / 1000))
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
rss_empty=$(rss_kb)
printf 'empty: RSS %d MB\n' $((rss_empty / 1024))
for domains in "$@"; do
    new_names "$have" "$domains"
    [ "$box" ] || confirmed "$domains"
    known_names "$domains"
    [ "$box" ] || statuses "$domains"
    memory "$domains"
    have=$domains
done
[ "$box" ] || silence "$have"
table "$@"
