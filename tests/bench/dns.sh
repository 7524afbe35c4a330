#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Answers of DNS per second, and CPU time of the server for one, beside dnsmasq and unbound.
#
#     tests/bench/dns.sh [FILE.json]      (as root; ROUNDS=7 SECONDS_EACH=2 NAMES=10000)
#
# All servers know the same names, run at once in namespaces behind a veth of their own, each limited to
# SERVER_CPU, and are asked in turns by dnsperf on CLIENT_CPU. fqdnat is an edge with a gateway that confirms
# everything (domains-gateway.py), and all names are confirmed before it begins; the others have them as local data.
# The CPU time is that of the server's process: what the kernel does in softirqs is in nobody's.
#
# fqdnat is in it twice: asked at port 53, where its XDP program answers (edge.dns.xdp), and at another, where only
# the daemon does. dnsperf makes fewer questions than the program can answer, so that is asked by live frames
# instead (dnslive.c): they are made, answered and counted on CLIENT_CPU; SERVER_CPU has the daemon, which renews names.
set -euo pipefail
# shellcheck source=tests/bench/lab.sh
. "$(dirname "$0")/lab.sh"

ROUNDS=${ROUNDS:-7}
SECONDS_EACH=${SECONDS_EACH:-2}
NAMES=${NAMES:-10000}
GATEWAY=198.51.100.2
OUT=${1-}

declare -A address=([fqdnat-xdp]=192.0.2.1 [fqdnat-socket]=192.0.2.1 [dnsmasq]=10.99.0.2 [unbound]=10.99.0.2)
declare -A port=([fqdnat-xdp]=53 [fqdnat-socket]=5300 [dnsmasq]=5301 [unbound]=5302)
servers=() skipped='{}'

skip() {
    echo "$1: not measured, $2"
    skipped=$(jq -c --arg what "$1" --arg why "$2" '.[$what] = $why' <<<"$skipped")
}

have() {
    if command -v "$1" >/dev/null; then
        return
    fi
    skip "$1" "not installed (scripts/bootstrap.sh --bench)"
    return 1
}

config_edge() {
    config_begin '{name: lan0, mode: native}, {name: wan0, mode: native}'
    cat >>"$LAB_CONFIG" <<YAML
control: {trusted: [198.51.100.0/24], rate: 20000}
edge:
  dns:
    listen: ["${address[fqdnat-xdp]}", "${address[fqdnat-socket]}:${port[fqdnat-socket]}"]
    upstream: ["198.51.100.53"]
    xdp: on
  pools: {ipv4: $LAB_POOL4, ipv6: "$LAB_POOL6"}
  gateways: [{name: a, address: $GATEWAY}]
limits: {dns_per_client: 0, new_names_per_client: 0}
clients:
$LAB_CLIENTS
resources:
  - {id: 5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a12, name: open, address: "*.open.example", gateways: [a]}
grants:
  - {client: lan, resource: open}
YAML
}

all_confirmed() { [ "$(lab_fqdnat -j gateway show | jq '[.[].confirmed // 0] | add')" -ge "$NAMES" ]; }

# Each name once, of the daemon
ask_all() {
    lab_client python3 tests/bench/domains-ask.py "${address[fqdnat-xdp]}" open.example 0 "$NAMES" >/dev/null
}

start_fqdnat() {
    config_edge
    lab_spawn gateway "$LAB_NET" python3 tests/bench/domains-gateway.py "$GATEWAY"
    lab_daemon_start
    ask_all
    lab_until 60 all_confirmed || { lab_say "not all names were confirmed" && return 1; }
    taskset -acp "$SERVER_CPU" "$(lab_pid "$LAB_DAEMON")" >/dev/null
    servers+=(fqdnat-xdp fqdnat-socket)
}

# A namespace without a program on its interfaces, for the others.
make_other() {
    OTHER=$LAB_PREFIX-far # lab_down knows it
    lab_netns "$OTHER"
    lab_link "$LAB_CLIENT" eth1 "$OTHER" eth0
    lab_address "$LAB_CLIENT" eth1 10.99.0.1/24
    lab_address "$OTHER" eth0 10.99.0.2/24
}

# Each name with an address of its own: names FORMAT (of printf: name, two bytes of the address)
names() {
    awk -v n="$NAMES" -v f="$1" \
        'BEGIN { for (i = 0; i < n; i++) printf f "\n", "n" i ".open.example", i / 256, i % 256 }'
}

start_dnsmasq() {
    have dnsmasq || return 0
    # shellcheck disable=SC2016 # awk's
    names '%s 10.1.%d.%d' | awk '{ print $2, $1 }' >"$LAB_RUN/hosts"
    lab_spawn dnsmasq "$OTHER" taskset -c "$SERVER_CPU" dnsmasq --keep-in-foreground --conf-file=/dev/null \
        --port="${port[dnsmasq]}" --listen-address="${address[dnsmasq]}" --bind-interfaces --no-resolv --no-hosts \
        --addn-hosts="$LAB_RUN/hosts" --local-ttl=60 --user=root --pid-file=
    servers+=(dnsmasq)
}

start_unbound() {
    have unbound || return 0
    {
        printf '%s\n' server: '  num-threads: 1' "  interface: ${address[unbound]}" "  port: ${port[unbound]}" \
            '  access-control: 10.99.0.0/24 allow' '  username: ""' '  chroot: ""' '  pidfile: ""' '  use-syslog: no' \
            '  local-zone: "open.example." static'
        names '  local-data: "%s. 60 A 10.1.%d.%d"'
        printf '%s\n' remote-control: '  control-enable: no'
    } >"$LAB_RUN/unbound.conf"
    lab_spawn unbound "$OTHER" taskset -c "$SERVER_CPU" unbound -d -c "$LAB_RUN/unbound.conf"
    servers+=(unbound)
}

answers() {
    lab_client dig +tries=1 +time=1 +short -p "${port[$1]}" "@${address[$1]}" "n$((NAMES - 1)).open.example" A |
        grep -q '^[0-9]'
}

process_of() { lab_pid "$([[ $1 = fqdnat-* ]] && echo "$LAB_DAEMON" || echo "$1")"; }

by_dnsperf() {
    lab_client taskset -c "$CLIENT_CPU" dnsperf -s "${address[$1]}" -p "${port[$1]}" -d "$LAB_RUN/questions" \
        -c 8 -q 100 -T 1 -t 1 -l "$SECONDS_EACH" 2>&1
}

# The same words as dnsperf's. The program knows the names: what it does not know is the daemon's, whose figure is
# another.
by_live_frames() {
    local mac
    ask_all
    mac=$(ip -n "$LAB_GW" -j link show lan0 | jq -r ".[0].address")
    lab_client taskset -c "$CLIENT_CPU" "$LAB_BUILD/bench-dnslive" eth0 192.0.2.2 "${address[$1]}" "$mac" \
        open.example "$NAMES" "$SECONDS_EACH" 2>&1
}

# ask SERVER: answers a second, and CPU time for one in us; not if any was wrong or too many were lost. Live frames do
# not wait for answers: what the daemon is too slow for is lost, and does not count.
ask() {
    local pid before out how=by_dnsperf lost=0.01
    [ "$1" != fqdnat-xdp ] || how=by_live_frames lost=1
    pid=$(process_of "$1")
    before=$(cpu_ns "$pid")
    out=$($how "$1")
    awk -v ns="$(($(cpu_ns "$pid") - before))" -v lost="$lost" '
        /Queries sent/ { sent = $3 }
        /Queries completed/ { done = $3 }
        /Response codes/ { right = $4 }
        /Queries per second/ { rate = $4 }
        END {
            if (done == 0 || right != done || sent - done > sent * lost) exit 1
            print rate, ns / done / 1000
        }' <<<"$out" || { echo "$out" >&2 && lab_say "$1: wrong or lost answers" && return 1; }
}

# Lines "server round rate us" become figures, ratios by round.
to_json() {
    jq -R -s --argjson names "$NAMES" --argjson skipped "$skipped" '
        def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;
        def figure($name; $unit; $all; $mine; $at):
            ($mine | map(.[$at])) as $s
            | {$name, flows: $names, $unit, median: ($s | median), min: ($s | min), max: ($s | max), samples: $s,
               ratio_to: ($all | with_entries(select(.key != $mine[0][0]))
                   | with_entries(.key = (if $at == 2 then .key else .key + " CPU" end)
                       | .value = ([.value, ($mine)] | transpose | map(.[1][$at] / .[0][$at]) | median))),
               command: "make bench-dns"};
        [split("\n")[] | select(. != "") | split(" ") | [.[0], .[1], (.[2] | tonumber), (.[3] | tonumber)]]
        | group_by(.[0]) | map({key: .[0][0], value: .}) | from_entries as $all
        | {figures: ([$all[] | figure(.[0][0]; "answers/s"; $all; .; 2)]
                   + [$all[] | figure(.[0][0] + " CPU"; "us"; $all; .; 3)]), skipped: $skipped}'
}

measure() {
    local round server line
    for round in $(seq "$ROUNDS"); do
        for server in "${servers[@]}"; do
            line=$(ask "$server")
            echo "$server $round $line" >>"$LAB_RUN/samples"
        done
    done
}

if ! command -v dnsperf >/dev/null; then
    skip fqdnat "dnsperf is not installed (scripts/bootstrap.sh --bench)"
    [ -z "$OUT" ] || jq -n --argjson skipped "$skipped" '{figures: [], skipped: $skipped}' >"$OUT"
    exit
fi
lab_init "fqdns-$$"
trap lab_down EXIT
lab_up
make_other
start_fqdnat
start_dnsmasq
start_unbound
names '%s A' | cut -d' ' -f1,2 | shuf --random-source=<(yes) >"$LAB_RUN/questions"
for server in "${servers[@]}"; do
    lab_until 10 answers "$server" || { lab_say "$server does not answer" && exit 1; }
done
measure
to_json <"$LAB_RUN/samples" >"$LAB_RUN/figures.json"
jq -r 'def short: . * 10 | round / 10;
    .figures[] | [.name, (.median | short), .unit, "(\(.min | short)..\(.max | short))",
    (.ratio_to | to_entries | map("\(.value * 100 | round / 100) x \(.key)") | join(", "))] | @tsv' "$LAB_RUN/figures.json"
[ -z "$OUT" ] || mv "$LAB_RUN/figures.json" "$OUT"
