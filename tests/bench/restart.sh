#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What it costs a daemon to take over many domains when it starts.
#
#     tests/bench/restart.sh [FILE.json]      (as root; DOMAINS=125000 ROUNDS=5)
#
# 125000 domains are a million proxy addresses. A store full of them is written without a daemon
# (restart_fill.c); then a daemon is started and stopped ROUNDS times, for an edge with a gateway
# elsewhere, and for edge and gateway in one process (box). Measured is the daemon's CPU time, user and
# kernel, until it answers, less that of one without a domain. The first start finds the edge's map empty
# and fills it (install), later ones find it as it must be (takeover).
#
# Then 100000 domains are installed into a map by themselves (restart_install.c), and new names are asked for where
# few and where very many resources are (restart_patterns.c).
#
# FILE.json has figures as the other benchmarks write them. That of the goal "installing 100000 domains x 8
# addresses" is called "install"; those of a restart "start edge takeover" and "start box takeover".
set -euo pipefail
# shellcheck source=tests/bench/lab.sh
. "$(dirname "$0")/lab.sh"
large_pools

DOMAINS=${DOMAINS:-125000}
ROUNDS=${ROUNDS:-5}
RESOURCE=5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a12
OUT=${1-}
starts=

config() {
    local gateways=
    [ "$1" = box ] || gateways='gateways: [{name: a, address: 198.51.100.2}]'
    config_begin 'lan0, wan0'
    cat >>"$LAB_CONFIG" <<YAML
control: {trusted: [198.51.100.0/24]}
limits: {domains: $((DOMAINS > 1000 ? DOMAINS : 1000))}
edge:
  dns: {listen: ["192.0.2.1"], upstream: ["198.51.100.53"]}
  pools: {ipv4: $LAB_POOL4, ipv6: "$LAB_POOL6"}
  $gateways
clients:
$LAB_CLIENTS
resources:
  - {id: $RESOURCE, name: open, address: "*.open.example"}
grants:
  - {client: lan, resource: open}
YAML
    [ "$1" = box ] || sed -i 's/\(address: "\*.open.example"\)/\1, gateways: [a]/' "$LAB_CONFIG"
}

# Start, measure, stop: seconds of CPU time until the daemon answers.
start() {
    local pid
    lab_daemon_start
    pid=$(lab_pid "$LAB_DAEMON")
    awk '{ printf "%.4f\n", $1 / 1e9 }' <<<"$(cpu_ns "$pid")"
    peak_mb=$(awk '/^VmHWM/ { print int($2 / 1024) }' "/proc/$pid/status")
    have=$(lab_fqdnat -j domain show | jq '[.[] | select(.state == "confirmed")] | length')
    lab_daemon_stop
}

# sample LAYOUT KIND DOMAINS: a line "LAYOUT KIND SECONDS", if as many domains are there.
sample() {
    local have peak_mb
    start >"$LAB_RUN/seconds"
    [ "$have" = "$3" ] || { lab_say "$1: $have of $3 domains were taken over" && return 1; }
    starts+="$1 $2 $(cat "$LAB_RUN/seconds")"$'\n'
    printf '%-6s %-10s %8.3f s, at most %d MB\n' "$1" "$2" "$(cat "$LAB_RUN/seconds")" "$peak_mb"
}

layout() {
    local gateway=a
    [ "$1" != box ] || gateway=
    lab_up
    config "$1"
    for _ in $(seq "$ROUNDS"); do sample "$1" empty 0; done
    "$LAB_BUILD/bench-restart-fill" "$LAB_STATE" "$LAB_BPFFS" "$RESOURCE" open.example "$gateway" "$DOMAINS"
    sample "$1" install "$DOMAINS"
    for _ in $(seq "$ROUNDS"); do sample "$1" takeover "$DOMAINS"; done
    lab_down
}

# The figures, in the form of the other benchmarks' files: starts less what an empty daemon takes. Those of a
# name that is asked for by so many resources are beside those of the fewest, the others beside each other.
to_json() {
    jq -n --arg starts "$starts" --arg others "$others" --argjson domains "$DOMAINS" '
        def lines: split("\n") | map(select(. != "") | split(" "));
        def median: sort | (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2;
        def figure($name; $flows; $unit):
            {$name, $flows, $unit, median: median, min: min, max: max, samples: ., ratio_to: {},
             command: "make bench-restart DOMAINS=\($domains)"};
        ($others | lines | group_by([.[0], (.[1] | tonumber)])
         | map({key: (if .[0][0] == "new-name" then .[0][1] + " resources" else .[0][0] end), of: .[0],
                value: map(.[3] | tonumber)})) as $o
        | {figures: (
            [$starts | lines | group_by(.[0])[]
             | (map(select(.[1] == "empty") | .[2] | tonumber) | median) as $empty
             | group_by(.[1])[] | select(.[0][1] != "empty")
             | .[0] as $of | map((.[2] | tonumber) - $empty) | figure("start \($of[0]) \($of[1])"; $domains; "s")]
            + [$o[] as $f | $f.value | figure($f.of[0]; ($f.of[1] | tonumber); $f.of[2])
               | .ratio_to = ($o | map(select(.of[2] == $f.of[2] and .key != $f.key)
                   | .value = ([$f.value, .value] | transpose | map(.[0] / .[1]) | median)) | from_entries)])}'
}

lab_init "fqrest-$$"
trap lab_down EXIT
layout edge
layout box
lab_up
others=$(lab_gw "$LAB_BUILD/bench-restart-install" "$LAB_RUN/bpf/install" "$ROUNDS")$'\n'
others+=$("$LAB_BUILD/bench-restart-patterns" "$ROUNDS")
to_json | tee "${OUT:-/dev/null}" | jq -r 'def short: . * 100 | round / 100;
    .figures[] | "\(.name), \(.flows): \(.median | short) (\(.min | short)..\(.max | short)) \(.unit)"
    + (.ratio_to | to_entries | map(", \(.value | short) x \(.key)") | join(""))'
