#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# An edge's own table of sessions, of what it forwards: its limits, its idle times, and what a reload
# changes of them. The gateways have room for all.
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

LAB_EDGE_SESSIONS='{max: 16, per_client: 3}'
LAB_EDGE_TIMEOUTS='{udp_s: 600}'
split_up
claim "a name is confirmed" settle web.corp.example confirmed
proxy=$(address web.corp.example)

# How many of UDP packets from the ports FROM to TO are answered.
answered() {
    local port
    for ((port = $1; port <= $2; port++)); do
        probe udp "$proxy" 7 --from-port "$port"
    done | grep -c 'answers 1'
}
no_sessions() { [ "$(sessions)" = 0 ]; }
idle_time() { lab_fqdnat -j config show | jq ".edge.timeouts.$1"; }
reloaded() {
    lab_config_split edge-a
    kill -HUP "$(lab_pid "$LAB_DAEMON")"
}
limit_is() { lab_fqdnat -j client show | jq -e --argjson n "$1" 'all(.[]; .sessions_max == $n)'; }

claim_eq "three sessions of one client" 3 "$(answered 40001 40003)"
claim_eq "the fourth is refused by the edge" "icmp 3 13 $proxy" "$(probe udp "$proxy" 7 --from-port 40004)"
claim "and counted there" grown quota 0
claim_eq "those that are there go on" 3 "$(answered 40001 40003)"
claim_eq "the configuration is shown with the edge" 600 "$(idle_time udp_s)"

LAB_EDGE_SESSIONS='{max: 16, per_client: 16}'
LAB_EDGE_TIMEOUTS='{udp_s: 2}'
reloaded
claim_until 10 "a reload raises the limit" limit_is 16
claim_eq "more are made" 13 "$(answered 40004 40016)"
claim_until 15 "and shortens the idle time: all end" no_sessions
claim_eq "the gateway, with times of its own, has them still" 16 "$(lab_fqdnat gw-a -j session show | jq length)"
