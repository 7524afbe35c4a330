#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two edges at one gateway: the same proxy address means another name for each, and reaches another
# server; one edge cannot use up what the other needs.
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

LAB_GATEWAYS_OPEN='[gw-a]'
LAB_GATEWAYS_INTRANET='[gw-a]'
split_up

# --- the same address --------------------------------------------------------------------

claim "edge-a asks for web" side a settle web.corp.example confirmed
claim "edge-b asks for files" side b settle files.corp.example confirmed
proxy4=$(side a address web.corp.example)
proxy6=$(side a address web.corp.example AAAA)
claim_eq "both have the same proxy address" "$proxy4" "$(side b address files.corp.example)"
claim_eq "also of IPv6" "$proxy6" "$(side b address files.corp.example AAAA)"

# The server that answers: server SIDE FAMILY ADDRESS
server() { side "$1" who "$2" "$3" | cut -d ' ' -f 1; }
claim_eq "from edge-a it reaches web" 198.51.100.10 "$(server a 4 "$proxy4")"
claim_eq "from edge-b, files" 198.51.100.11 "$(server b 4 "$proxy4")"
claim_eq "the same by IPv6" 2001:db8:2::10 "$(server a 6 "[$proxy6]")"
claim_eq "for both" 2001:db8:2::11 "$(server b 6 "[$proxy6]")"

# From the same port of each client, at the same time.
for s in a b; do
    claim_eq "UDP from port 41000 behind edge-$s" "answers 1" "$(side "$s" probe udp "$proxy4" 7 --from-port 41000)"
done
real_of() {
    lab_fqdnat gw-a -j session show | jq -r --arg c "$1" \
        '.[] | select(.client_port == 41000 and .client == $c) | .real'
}
claim_eq "a session for one" 198.51.100.10 "$(real_of 192.0.2.2)"
claim_eq "and one for the other" 198.51.100.11 "$(real_of 203.0.113.2)"
claim_eq "each edge has what it asked for" "web.corp.example files.corp.example" \
    "$(side a lab_fqdnat -j domain show | jq -r '.[].domain') $(side b lab_fqdnat -j domain show | jq -r '.[].domain')"
claim_eq "the gateway knows both, by edge" "edge-a web.corp.example edge-b files.corp.example" \
    "$(lab_fqdnat gw-a -j domain show | jq -r 'sort_by(.edge) | map("\(.edge) \(.domain)") | join(" ")')"

# The same name and server, from the same port: two NAT ports.
claim "edge-b asks for web, too" side b settle web.corp.example confirmed
second=$(side b address web.corp.example)
claim_eq "UDP to it, from the same port" "answers 1" "$(side b probe udp "$second" 7 --from-port 41000)"
claim_eq "three sessions, no NAT address and port twice for a server" 3 "$(lab_fqdnat gw-a -j session show |
    jq '[.[] | select(.client_port == 41000) | [.nat, .nat_port, .real]] | unique | length')"

# What one edge gives up, it gives up for itself.
claim "edge-b forgets files" side b lab_fqdnat domain forget files.corp.example
claim_eq "edge-a's session goes on" "answers 1" "$(side a probe udp "$proxy4" 7 --from-port 41000)"
claim_eq "new ones are made" 198.51.100.10 "$(server a 4 "$proxy4")"

# --- limits ------------------------------------------------------------------------------

lab_fqdnat gw-a session flush >/dev/null
LAB_PER_EDGE='{sessions: 6}'
lab_config gw-a
kill -HUP "$(lab_pid fqdnatd-gw-a)"
limit_is() { [ "$(peer_value gw-a edge-a sessions_max)" = "$1" ]; }
claim_until 5 "a reload limits the sessions of each edge" limit_is 6
for port in {42001..42006}; do
    side a probe udp "$proxy4" 7 --from-port "$port"
done >"$LAB_RUN/answers"
claim_eq "six sessions of one edge" 6 "$(grep -c 'answers 1' "$LAB_RUN/answers")"
claim_eq "are counted" 6 "$(peer_value gw-a edge-a sessions)"
claim_eq "the seventh is refused" "icmp 3 13 $proxy4" "$(side a probe udp "$proxy4" 7 --from-port 42007)"
claim_eq "by IPv6, too" "icmp 1 1 $proxy6" "$(side a probe udp "$proxy6" 7 --from-port 42007)"
claim "counted as edge_quota" at gw-a grown edge_quota 0
claim_eq "not as the client's" 0 "$(at gw-a reason quota)"
claim_eq "those that are there go on" "answers 1" "$(side a probe udp "$proxy4" 7 --from-port 42001)"
for port in {42001..42006}; do
    side b probe udp "$second" 7 --from-port "$port"
done >"$LAB_RUN/answers"
claim_eq "the other edge has its own six" 6 "$(grep -c 'answers 1' "$LAB_RUN/answers")"
claim "flushed" lab_fqdnat gw-a session flush client 192.0.2.2
claim_eq "there is room again" "answers 1" "$(side a probe udp "$proxy4" 7 --from-port 42008)"
claim_eq "one session is counted" 1 "$(peer_value gw-a edge-a sessions)"
claim_eq "the other's are all there" 6 "$(peer_value gw-a edge-b sessions)"
