#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Daemons of edges and gateways are killed and started again in the middle of traffic: nothing stops,
# nothing is asked anew. A gateway that has lost its translations says so, and gets them again.
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

split_up
claim "web is confirmed" settle web.corp.example confirmed
claim "any is confirmed" settle any.open.example confirmed
claim "nx has failed" settle nx.corp.example failed
proxy=$(address web.corp.example)
ghost=$(address nx.corp.example)
quiet() { lab_fqdnat -j domain show | jq -e 'all(.[]; .state | . == "confirmed" or . == "failed")'; }
claim_until 8 "nothing is under way" quiet

# The longest time that a line of a flow took, in milliseconds.
worst() { awk '/^[0-9]/ && $2 > w { w = $2 } END { printf "%d", w * 1000 }' "$LAB_LOG/$1.log"; }
# From a port that was never used, without a question to DNS.
port=42000
fresh_flow() {
    port=$((port + 1))
    claim_eq "$1" "answers 1" "$(probe udp "$proxy" 7 --from-port "$port" --timeout 10)"
}
snapshot() { lab_fqdnat -j domain show | jq -cS 'map({domain, gateway, state, proxy_addresses}) | sort'; }

flow running "$proxy"
claim_until 5 "a connection runs" flow_beyond running 3

# --- the edge ----------------------------------------------------------------------------

before=$(snapshot)
lab_daemon_kill edge-a
claim "the edge's daemon dies: the connection goes on" flow_goes_on running
fresh_flow "new flows to known names are made"
claim_eq "a failed name is refused" "icmp 3 0 $ghost" "$(probe tcp "$ghost" 80)"
claim_eq "its sessions are shown" gw-a "$(session_value "$port" gateway)"
lab_daemon_start edge-a -v
claim_eq "started again: the same names, states and proxy addresses" "$before" "$(snapshot)"
fresh_flow "new flows are made at once"
claim_until 15 "it hears its gateways" peers_are edge-a up up
claim_eq "that changes no state" "$before" "$(snapshot)"
claim "the connection goes on" flow_goes_on running
claim_eq "nothing was asked anew" 0 "$(messages edge-a gw-a sent_assigned_ips)"
claim_eq "DNS answers with the same address" "$proxy" "$(address web.corp.example)"
claim_until 8 "a query is asked and answered as before" quiet
claim_eq "with one message" 1 "$(messages edge-a gw-a sent_assigned_ips)"
claim_eq "by way of the same gateway" gw-a "$(way 4 web.corp.example)"
claim_until 8 "nothing is under way" quiet

# --- a gateway ---------------------------------------------------------------------------

proxies() { lab_fqdnat gw-a -j proxy show | jq -cS 'map({address, domain, real_address}) | sort'; }
before=$(proxies)
goodbyes=$(reason gateway_goodbye) silences=$(reason gateway_silent)
asked=$(messages edge-a gw-a sent_assigned_ips)
lab_daemon_kill gw-a
claim "the gateway's daemon dies: the connection goes on" flow_goes_on running
fresh_flow "new flows to known names are made"
lab_daemon_start gw-a -v
claim_eq "started again: the same translations" "$before" "$(proxies)"
fresh_flow "new flows are made at once"
claim "the connection goes on" flow_goes_on running
heard() { [ "$(messages gw-a edge-a received_probe)" -gt 0 ]; }
claim_until 20 "the edge is heard again" heard
claim_eq "it was no Goodbye" "$goodbyes" "$(reason gateway_goodbye)"
claim_eq "and no silence" "$silences" "$(reason gateway_silent)"
claim_eq "nothing was asked anew" "$asked" "$(messages edge-a gw-a sent_assigned_ips)"
fresh_flow "new flows are made without a question"
claim "a new name is set up by it" settle files.corp.example confirmed
claim "the connection has not come to a stop" test "$(worst running)" -lt 10000
echo "# the slowest of $(flow_lines running) lines took $(worst running) ms"

# --- a gateway without its maps ----------------------------------------------------------

lab_daemon_stop gw-a
for dev in path0 wan0; do
    claim "detached from $dev" lab_fqdnat gw-a prog detach dev "$dev"
done
claim_eq "no pin is left" "" "$(find "$LAB_RUN/bpf/gw-a" -mindepth 1 2>/dev/null)"
lab_daemon_start gw-a -v
learnt() { grep -q 'lost its translations' "$LAB_LOG/fqdnatd-edge-a.log"; }
claim_until 40 "the edge learns that the translations are lost" learnt
asked=$(messages edge-a gw-a sent_assigned_ips)
fresh_flow "a packet makes it ask again: new flows are made without a question to DNS"
claim "the name was asked for" test "$(messages edge-a gw-a sent_assigned_ips)" -gt "$asked"
claim "and is confirmed" state_is web.corp.example confirmed
claim_eq "connections are made" gw-a "$(way 4 web.corp.example)"
claim_eq "a name of the other gateway was not asked for" 0 "$(messages edge-a gw-b sent_assigned_ips)"
