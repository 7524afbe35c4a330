#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Answers of DNS per second of one CPU, beside dnsmasq and unbound.
#
#     tests/bench/dns.sh [FILE.json]      (as root; ROUNDS=7 SECONDS_EACH=2 NAMES=10000)
#
# All servers know the same names, run at once in namespaces behind a veth of their own, and are asked in turns, by the
# same queries: live frames (dnslive.c), 32 together. fqdnat is an edge with a gateway that confirms everything
# (domains-gateway.py), and all names are confirmed before it begins; the others have them as local data. fqdnat is in it
# twice: asked at port 53, where its XDP program answers (edge.dns.xdp), and at another, where only the daemon does.
#
# Who asks, who answers and the softirqs between them share CPU 0 and have real-time priorities, the server the higher
# one: what has come is answered before more is asked. The figure is CPU time for an answer, of the server's process and
# of the kernel on the way to it and back: all that was used, less what the same queries cost without a server, in the
# same round.
set -euo pipefail
# shellcheck source=tests/bench/lab.sh
. "$(dirname "$0")/lab.sh"

ROUNDS=${ROUNDS:-7}
SECONDS_EACH=${SECONDS_EACH:-2}
NAMES=${NAMES:-10000}
CPU=$CLIENT_CPU
OTHER_CPU=$SERVER_CPU # of the gateway that confirms
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
    lab_spawn gateway "$LAB_NET" taskset -c "$OTHER_CPU" python3 tests/bench/domains-gateway.py "$GATEWAY"
    lab_daemon_start
    ask_all
    lab_until 60 all_confirmed || { lab_say "not all names were confirmed" && return 1; }
    servers+=(fqdnat-xdp fqdnat-socket)
}

on_cpu() {
    taskset -acp "$CPU" "$1" >/dev/null
    chrt -afp 2 "$1"
}

end() {
    lab_down
    rm -rf "$LAB_STATE"
}

# A namespace without a program on its interfaces, for the others; and a veth without anybody behind it. GRO: else it
# takes no frames of a program.
make_other() {
    OTHER=$LAB_PREFIX-far # lab_down knows it
    lab_netns "$OTHER"
    lab_link "$LAB_CLIENT" eth1 "$OTHER" eth0
    lab_address "$LAB_CLIENT" eth1 10.99.0.1/24
    lab_address "$OTHER" eth0 10.99.0.2/24
    ip netns exec "$OTHER" ethtool -K eth0 gro on
    lab_link "$LAB_CLIENT" out "$LAB_CLIENT" in
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
    lab_spawn dnsmasq "$OTHER" dnsmasq --keep-in-foreground --conf-file=/dev/null \
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
    lab_spawn unbound "$OTHER" unbound -d -c "$LAB_RUN/unbound.conf"
    servers+=(unbound)
}

answers() {
    lab_client dig +tries=1 +time=1 +short -p "${port[$1]}" "@${address[$1]}" "n$((NAMES - 1)).open.example" A |
        grep -q '^[0-9]'
}

process_of() { lab_pid "$([[ $1 = fqdnat-* ]] && echo "$LAB_DAEMON" || echo "$1")"; }
cpu_ns() {
    local pid
    for pid; do cat /proc/"$pid"/task/*/schedstat; done | awk '{ ns += $1 } END { printf "%.0f\n", ns }'
}

mac_of() { ip -n "$1" -j link show "$2" | jq -r ".[0].address"; }

# asked SERVER: queries sent, right answers, CPU time in ns of all that had to do with it
asked() {
    local where pid=() before sent answers ns
    case $1 in
    direct) where=(out in 10.99.1.1 10.99.1.2 53 "$(mac_of "$LAB_CLIENT" in)") ;;
    fqdnat-*) where=(eth0 eth0 192.0.2.2 "${address[$1]}" "${port[$1]}" "$(mac_of "$LAB_GW" lan0)") ;;
    *) where=(eth1 eth1 10.99.0.1 "${address[$1]}" "${port[$1]}" "$(mac_of "$OTHER" eth0)") ;;
    esac
    [ "$1" = direct ] || pid=("$(process_of "$1")")
    # Names that the program does not know are the daemon's, whose figure is another.
    [ "$1" != fqdnat-xdp ] || ask_all
    before=$(cpu_ns "${pid[@]}" "$SOFTIRQD")
    read -r sent answers ns < <(lab_client taskset -c "$CPU" chrt -f 1 "$LAB_BUILD/bench-dnslive" "${where[@]}" \
        open.example "$NAMES" "$SECONDS_EACH")
    echo "$sent $answers $((ns + $(cpu_ns "${pid[@]}" "$SOFTIRQD") - before))"
}

# ask SERVER NS: answers a second, and CPU time for one in us, less NS; not if too many were lost or wrong
ask() {
    local said
    said=$(asked "$1")
    awk -v without="$2" '{
        if ($2 < $1 * 0.95) exit 1
        ns = $3 / $2 - without
        print 1e9 / ns, ns / 1000
    }' <<<"$said" || { lab_say "$1: wrong or lost answers: $said" && return 1; }
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
    local round server line without
    for round in $(seq "$ROUNDS"); do
        line=$(ask direct 0)
        echo "direct $round $line" >>"$LAB_RUN/samples"
        without=$(awk '{ print $2 * 1000 }' <<<"$line")
        for server in "${servers[@]}"; do
            line=$(ask "$server" "$without")
            echo "$server $round $line" >>"$LAB_RUN/samples"
        done
    done
}

lab_init "fqdns-$$"
LAB_STATE=/dev/shm/$LAB_PREFIX-state # to wait for a disk is no work
trap end EXIT
lab_up
# Packets are received on the CPU that sends them.
lab_client sh -c 'echo 0 >/sys/class/net/eth0/threaded' 2>/dev/null || true
make_other
start_fqdnat
start_dnsmasq
start_unbound
SOFTIRQD=$(pgrep -x "ksoftirqd/$CPU")
for server in "${servers[@]}"; do
    lab_until 10 answers "$server" || { lab_say "$server does not answer" && exit 1; }
    on_cpu "$(process_of "$server")"
done
measure
to_json <"$LAB_RUN/samples" >"$LAB_RUN/figures.json"
jq -r 'def short: . * 10 | round / 10;
    .figures[] | [.name, (.median | short), .unit, "(\(.min | short)..\(.max | short))",
    (.ratio_to | to_entries | map("\(.value * 100 | round / 100) x \(.key)") | join(", "))] | @tsv' "$LAB_RUN/figures.json"
[ -z "$OUT" ] || mv "$LAB_RUN/figures.json" "$OUT"
