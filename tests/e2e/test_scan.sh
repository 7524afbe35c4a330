#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A port scanner tells open, closed and filtered ports of a resource apart, as if no NAT were between:
# nmap, TCP (SYN) and UDP, both IP versions.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# Nobody listens on TCP 81 and UDP 8; somebody does on 8000 and 9007, which the filter denies.
LAB_FILTERS='[{tcp: 80-81}, {udp: 7-8}]'
e2e_up
settle web.corp.example confirmed
settle four.corp.example confirmed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)

# scan ADDRESS OPTION...: a line for each port, "80/tcp open syn-ack".
scan() {
    local -a version=()
    [[ $1 != *:* ]] || version=(-6)
    lab_client nmap -n -Pn --reason --max-retries 2 "${version[@]}" "${@:2}" "$1" |
        sed -nE 's,^([0-9]+/[a-z]+) +([^ ]+) +[^ ]+ +([^ ]+).*,\1 \2 \3,p'
}

denied=$(reason filtered)
for proxy in "$v4" "$v6"; do
    tcp=$(scan "$proxy" -sS -p 80,81,8000)
    claim_match "TCP, $proxy: open" '^80/tcp open syn-ack' "$tcp"
    claim_match "TCP, $proxy: permitted, but closed: the server's reset" '81/tcp closed reset' "$tcp"
    claim_match "TCP, $proxy: not permitted" '8000/tcp filtered admin-prohibited$' "$tcp"
    udp=$(scan "$proxy" -sU -p 7,8,9007)
    claim_match "UDP, $proxy: open" '^7/udp open udp-response' "$udp"
    claim_match "UDP, $proxy: permitted, but closed: the server's ICMP error" '8/udp closed port-unreach' "$udp"
    claim_match "UDP, $proxy: not permitted" '9007/udp filtered admin-prohibited$' "$udp"
done
claim "what was not permitted was counted as filtered" test "$(reason filtered)" -ge $((denied + 4))

none=$(address four.corp.example AAAA)
claim_eq "a name without an IPv6 address: no port is reached" "80/tcp filtered host-unreach" \
    "$(scan "$none" -sS -p 80)"

# More ports than there are ICMP errors for one receiver: silence is "filtered", too.
before=$(reason icmp_limited)
claim_match "a thousand ports: one open, one closed, all others filtered" \
    'Ports: 80/open/tcp//[^,]*, 81/closed/tcp//[^,]*Ignored State: filtered \(998\)' \
    "$(lab_client nmap -n -Pn -sS -T5 --max-retries 3 -p 1-1000 -oG - "$v4")"
claim "the errors were rate-limited" grown icmp_limited "$before"
claim_eq "the scan holds no sessions but for ports that are permitted" 0 \
    "$(lab_fqdnat -j session show | jq '[.[] | select([.port] | inside([80, 81, 7, 8]) | not)] | length')"
