#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Sessions remember their next hop: what changes on the way counts all the same, whether a daemon
# listens or not.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_MODE=native
e2e_up
settle web.corp.example confirmed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)
real4=$(lab_fqdnat -j proxy show | jq -r --arg a "$v4" '.[] | select(.address == $a) | .real_address')
real6=$(lab_fqdnat -j proxy show | jq -r --arg a "$v6" '.[] | select(.address == $a) | .real_address')

gw() { ip -n "$LAB_GW" "$@"; }
session4() { probe udp "$v4" 7 --from-port 40001 "$@"; }
session6() { probe udp "$v6" 7 --from-port 40001 "$@"; }
flows() { [ "$(session4 --timeout 0.5)" = "answers 1" ] && [ "$(session6 --timeout 0.5)" = "answers 1" ]; }
# Twice, because on a busy machine one answer may be late.
stopped() {
    for _ in 1 2; do
        [ "$(session4 --timeout 0.3)" != "answers 1" ] && [ "$(session6 --timeout 0.3)" != "answers 1" ] || return 1
    done
}

block() {
    gw route add blackhole "$real4"
    gw -6 route add blackhole "$real6"
}
unblock() {
    gw route del blackhole "$real4"
    gw -6 route del blackhole "$real6"
}

claim_until 2 "two sessions" flows
claim_eq "IPv4: many packets of one, in order" "answers 1 2 3 4 5 6 7 8 9" "$(session4 --count 9 --in-order)"
claim_eq "IPv6" "answers 1 2 3 4 5 6 7 8 9" "$(session6 --count 9 --in-order)"

block
claim_until 2 "a route that has changed counts" stopped
claim "as a blackhole" grown blackhole 0
unblock
claim_until 2 "and when it is as before, the sessions go on" flows

gw neigh replace "$real4" lladdr 02:00:00:00:00:99 dev wan0 nud permanent
gw -6 neigh replace "$real6" lladdr 02:00:00:00:00:99 dev wan0 nud permanent
claim_until 2 "a neighbour with another MAC address is sent to at that one" stopped
gw neigh del "$real4" dev wan0
gw -6 neigh del "$real6" dev wan0
claim_until 3 "the right one is found again" flows

gw rule add from 192.0.2.2 table 77
gw -6 rule add from 2001:db8:1::2 table 77
gw route add blackhole default table 77
gw -6 route add blackhole default table 77
claim_until 2 "a rule counts" stopped
gw rule del from 192.0.2.2 table 77
gw -6 rule del from 2001:db8:1::2 table 77
claim_until 2 "and its end" flows

lab_sysctl "$LAB_GW" net/ipv4/conf/lan0/forwarding=0 net/ipv6/conf/lan0/forwarding=0
claim_until 2 "forwarding that is switched off counts" stopped
lab_sysctl "$LAB_GW" net/ipv4/conf/lan0/forwarding=1 net/ipv6/conf/lan0/forwarding=1
claim_until 3 "and on" flows

lab_daemon_kill
claim_until 2 "without a daemon, the sessions go on" flows
sleep 2.6
block
claim "a route that changes then counts at once" stopped
unblock
claim_until 2 "and when it is as before" flows
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
