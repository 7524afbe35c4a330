#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Two edges and two gateways on machines of their own: traffic of both IP versions by way of each
# gateway, what is refused where, and that both sides of the path tell the same story. With a key for
# each pair and control messages by IPv4; then without keys in a trusted prefix, by IPv6. And that nobody
# else can answer in a gateway's stead, or ask in a client's.
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

# A guest of the same edge, who has no grant.
LAB_SPLIT_CLIENTS='  - {name: lan-a, prefixes: [192.0.2.2/32, "2001:db8:1::/64"], edge: edge-a}
  - {name: guest, prefixes: [192.0.2.99/32], edge: edge-a}
  - {name: lan-b, prefixes: [203.0.113.0/24, "2001:db8:3::/64"], edge: edge-b}'

both_ways() {
    local s
    for s in a b; do
        claim "web is confirmed for edge-$s" side "$s" settle web.corp.example confirmed
        claim "any is confirmed for edge-$s" side "$s" settle any.open.example confirmed
        claim_eq "web by IPv4, from edge-$s: the first gateway of its list" gw-a "$(side "$s" way 4 web.corp.example)"
        claim_eq "web by IPv6" gw-a "$(side "$s" way 6 web.corp.example)"
        claim_eq "any by IPv4: the first of another list" gw-b "$(side "$s" way 4 any.open.example)"
        claim_eq "any by IPv6" gw-b "$(side "$s" way 6 any.open.example)"
    done
}

# UDP from a port of its own, seen as a session on both sides.
sessions_of_both() {
    local proxy4 proxy6
    proxy4=$(address web.corp.example)
    proxy6=$(address any.open.example AAAA)
    claim_eq "UDP by IPv4" "answers 1 2 3" "$(probe udp "$proxy4" 7 --count 3 --from-port 41000)"
    claim_eq "UDP by IPv6" "answers 1 2 3" "$(probe udp "$proxy6" 7 --count 3 --from-port 41006)"
    claim "ping by IPv4" lab_client ping -n -c 3 -i 0.1 -W 2 "$proxy4"
    claim "ping by IPv6" lab_client ping -n -c 3 -i 0.1 -W 2 "$proxy6"

    claim_eq "at the edge a session has no NAT address" null "$(session_value 41000 nat)"
    claim_eq "and no real one" null "$(session_value 41000 real)"
    claim_eq "but a gateway" gw-a "$(session_value 41000 gateway)"
    claim_eq "the other's has the other gateway" gw-b "$(session_value 41006 gateway)"
    claim_eq "at the gateway it has a NAT address" 198.51.100.1 "$(at gw-a session_value 41000 nat)"
    claim_eq "and the real one" 198.51.100.10 "$(at gw-a session_value 41000 real)"
    claim_eq "also by IPv6" 2001:db8:2::11 "$(at gw-b session_value 41006 real)"
    claim_eq "both count the same packets out" "$(session_value 41000 packets_out)" \
        "$(at gw-a session_value 41000 packets_out)"
    claim_eq "and in" "$(session_value 41000 packets_in)" "$(at gw-a session_value 41000 packets_in)"
    claim_eq "the other gateway knows nothing of it" null "$(at gw-b session_value 41000 state)"
    claim_eq "domains are known by the same name" "$(session_value 41006 domain)" \
        "$(at gw-b session_value 41006 domain)"
}

# C-22: whoever on the LAN pretends to be the gateway is not heard.
replies_of_others() {
    local proxy before
    proxy=$(address web.corp.example)
    claim_eq "a UDP session" "answers 1" "$(probe udp "$proxy" 7 --from-port 41001)"
    before=$(reason wrong_gateway)
    spoof "$LAB_CLIENT" eth0 "$LAB_GW" lan0 "$proxy:7" 192.0.2.2:41001 3
    claim_until 5 "replies from a neighbour of the client are dropped" grown wrong_gateway "$((before + 2))"
    claim_eq "and not counted as the session's" 1 "$(session_value 41001 packets_in)"
    claim_eq "the gateway's are not affected" "answers 1" "$(probe udp "$proxy" 7 --from-port 41001)"
}

# Whoever pretends to be a client where none is, is not served by a gateway that checks.
clients_of_others() {
    local proxy
    proxy=$(address web.corp.example)
    spoof "$LAB_NET" eth0 "$LAB_PREFIX-gw-a" wan0 192.0.2.2:41002 "$proxy:7" 3
    claim_until 5 "a client's packets from the far side are dropped" at gw-a grown wrong_way 2
    claim_eq "no session is made for them" null "$(at gw-a session_value 41002 state)"
    claim_eq "the client itself gets one" "answers 1" "$(probe udp "$proxy" 7 --from-port 41002)"
    claim_eq "nobody else was taken for a stranger" "0 3" "$(reason wrong_way) $(at gw-a reason wrong_way)"
}

# What fails is refused at the edge; what is not permitted, at the gateway.
refusals() {
    local failed proxy
    claim "a name that does not exist fails" settle nx.corp.example failed
    failed=$(address nx.corp.example)
    claim_until 8 "also after it was asked for again" state_is nx.corp.example failed
    claim_eq "it is refused at once" "icmp 3 0 $failed" "$(probe tcp "$failed" 80)"
    claim "counted at the edge" grown domain_failed 0
    claim_eq "not at the gateway" 0 "$(at gw-a reason no_translation)"

    proxy=$(address web.corp.example)
    claim_eq "a port that the filter denies is refused" "icmp 3 13 $proxy" "$(probe tcp "$proxy" 8000)"
    claim "counted at the gateway" at gw-a grown filtered 0
    claim_eq "not at the edge" 0 "$(reason filtered)"
    claim_eq "a client without a grant is refused" "icmp 3 13 $proxy" \
        "$(probe tcp "$proxy" 80 --from 192.0.2.99)"
    claim "counted at the gateway" at gw-a grown not_granted 0
    claim_eq "not at the edge" 0 "$(reason not_granted)"
}

# D-01: types that only the site knows are answered there.
site() {
    lab_on gw-a lab_gw nft -f - <<'NFT'
table inet site {
    counter asked { }
    chain input {
        type filter hook input priority 0
        meta l4proto { tcp, udp } th dport 53535 counter name asked
    }
}
NFT
    lab_zone set _http 60 SRV 0 0 80 web
    claim_eq "SRV is answered" "0 0 80 web.corp.example." \
        "$(lab_client dig +short +tries=1 +time=20 _http.corp.example SRV)"
    claim_eq "TXT is answered" "\"the site's own text record\"" \
        "$(lab_client dig +short +tries=1 +time=20 web.corp.example TXT)"
    claim_eq "TXT over TCP is answered" '"a name without addresses"' \
        "$(lab_client dig +short +tcp +tries=1 +time=20 empty.corp.example TXT)"
    claim "by the gateway" test "$(lab_on gw-a lab_gw nft -j list counter inet site asked |
        jq '.nftables[] | .counter? // empty | .packets')" -ge 3
    claim_eq "what is no resource's is the upstream server's" 198.51.100.11 \
        "$(lab_client dig +short +tries=1 +time=20 www.example A)"
}

# Both sides of a pair say the same, with messages sealed or not: agrees EDGE GATEWAY SEALED
agrees() {
    local edge gateway
    # An answer that took long was asked for twice, and the second one may be on its way.
    lab_until 5 all_answered "$1" "$2" || true
    edge=$(lab_fqdnat "$1" -j gateway show "$2" | jq -c '.[0]')
    gateway=$(lab_fqdnat "$2" -j gateway show "$1" | jq -c '.[0]')
    claim_eq "$1 and $2: both up" "up up" "$(of "$edge" .state) $(of "$gateway" .state)"
    claim_eq "AssignedIps: sent and received" "$(of "$edge" .messages.sent_assigned_ips)" \
        "$(of "$gateway" .messages.received_assigned_ips)"
    claim_eq "DomainStatus: sent and received" "$(of "$gateway" .messages.sent_domain_status)" \
        "$(of "$edge" .messages.received_domain_status)"
    claim_eq "each AssignedIps has its DomainStatus" "$(of "$edge" .messages.sent_assigned_ips)" \
        "$(of "$edge" .messages.received_domain_status)"
    claim_eq "domains: asked for and known" "$(of "$edge" .domains)" "$(of "$gateway" .domains)"
    claim_eq "sealed" "$3 $3" "$(of "$edge" .sealed) $(of "$gateway" .sealed)"
    claim_match "a round trip is known" '^[0-9.]+$' "$(of "$edge" .rtt_ms)"
    claim_eq "nothing was counted as wrong" "0 0" "$(of "$edge" "$wrong") $(of "$gateway" "$wrong")"
}
all_answered() { [ "$(messages "$1" "$2" sent_assigned_ips)" -eq "$(messages "$1" "$2" received_domain_status)" ]; }
wrong='.messages | [.undersized, .oversized, .unknown_event, .misdirected, .forged, .replayed, .limited,
    .malformed, .send_failed] | add'
of() { jq -r "$2" <<<"$1"; }

quiet() { side "$1" lab_fqdnat -j domain show | jq -e 'all(.[]; .state | . == "confirmed" or . == "failed")'; }

agreement() {
    local edge gateway
    for edge in "${LAB_EDGES[@]}"; do
        claim_until 8 "nothing is under way at $edge" quiet "${edge#edge-}"
        for gateway in "${LAB_GATEWAYS[@]}"; do
            agrees "$edge" "$gateway" "$1"
        done
    done
}

split_up
lab_address "$LAB_CLIENT" eth0 192.0.2.99/24
both_ways
sessions_of_both
replies_of_others
refusals
site
agreement true

# Again from nothing, without keys, and with clients checked.
LAB_TRUST=prefix
LAB_SOURCE_CHECK=strict
LAB_CONTROL_IP=6
lab_up
lab_daemons_start -v
split_meet
both_ways
clients_of_others
agreement false
