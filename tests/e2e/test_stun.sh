#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What a client takes the NAT for: coturn's NAT behaviour discovery (RFC 5780) against a coturn server.
#
# The server has two addresses; a client reaches each by a name, so by a proxy address. It has to be told of
# those (--external-ip): the OTHER-ADDRESS that it names is where the client goes on, and its real
# addresses are nothing to this client.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_FILTERS='[{udp: 3478-3479}]'
e2e_up
lab_zone set stun 60 A 198.51.100.10
lab_zone set stun 60 AAAA 2001:db8:2::10
lab_zone set stun-alt 60 A 198.51.100.11
lab_zone set stun-alt 60 AAAA 2001:db8:2::11
settle stun.corp.example confirmed
settle stun-alt.corp.example confirmed
stun4=$(address stun.corp.example)
stun6=$(address stun.corp.example AAAA)
alt4=$(address stun-alt.corp.example)
alt6=$(address stun-alt.corp.example AAAA)

mkdir "$LAB_RUN/stun"
lab_spawn turnserver "$LAB_NET" turnserver -n --stun-only --listening-port 3478 --alt-listening-port 3479 \
    -L 198.51.100.10 -L 198.51.100.11 -L 2001:db8:2::10 -L 2001:db8:2::11 \
    -X "$stun4/198.51.100.10" -X "$alt4/198.51.100.11" -X "$stun6/2001:db8:2::10" -X "$alt6/2001:db8:2::11" \
    --no-tcp --no-tls --no-dtls --no-cli --userdb "$LAB_RUN/stun/db" --pidfile "$LAB_RUN/stun/pid" \
    --log-file stdout

# Both ports of all four addresses.
serves() { [ "$(lab_net ss -Hlnu 'sport = :3478 or sport = :3479' | awk '{print $4}' | sort -u | wc -l)" -eq 8 ]; }
claim_until 10 "the STUN server serves two addresses and two ports, IPv4 and IPv6" serves

# discover OPTION ADDRESS: the answers' mapped endpoints and the verdict, a line each.
discover() {
    lab_client timeout 60 turnutils_natdiscovery "$1" "$2" 2>&1 |
        sed -n 's/.*UDP reflexive addr: //p; s/^\(NAT with .*\)!$/\1/p; s/.*receive timeout.*/no answer/p'
}

# verdicts IP-VERSION ADDRESS PREFIX
verdicts() {
    local mapped
    local -a line

    # One to the first address; one to each port of the other.
    mapped=$(discover -m "$2")
    mapfile -t line <<<"$mapped"
    claim_eq "$1: the mapping" "NAT with Address Dependent Mapping" "${line[3]-}"
    claim_eq "$1: three answers, all to the gateway's address" 3 "$(grep -cF "$3" <<<"$mapped")"
    claim_eq "$1: every port of a proxy address sees the same mapping" "${line[1]-}" "${line[2]-}"
    claim_not "$1: another proxy address sees another one" test "${line[0]-}" = "${line[1]-}"

    # The server is asked to answer from its other address, then from its other port only.
    mapfile -t line < <(discover -f "$2")
    claim_eq "$1: the filtering" "NAT with Address Dependent Filtering" "${line[3]-}"
    claim_eq "$1: an answer from another address does not arrive" "no answer" "${line[1]-}"
    claim_eq "$1: one from another port does, at the same mapping" "${line[0]-}" "${line[2]-}"

    # A packet to one's own mapping.
    claim_eq "$1: no hairpinning" "no answer" "$(discover -H "$2" | sed -n 2p)"
}

verdicts IPv4 "$stun4" 198.51.100.1:
verdicts IPv6 "$stun6" 2001:db8:2::1
