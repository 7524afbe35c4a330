#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A name is asked for and reached: HTTP, TCP, UDP, ping over IPv4 and IPv6, through XDP.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up

# P-02: four IPv4 and four IPv6 addresses, whatever was asked for first.
mapfile -t v4 < <(lab_client dig +short web.corp.example A)
mapfile -t v6 < <(lab_client dig +short web.corp.example AAAA)
claim_eq "a name has four IPv4 proxy addresses" 4 "${#v4[@]}"
claim_eq "a name has four IPv6 proxy addresses" 4 "${#v6[@]}"
claim_match "IPv4 proxy addresses are from the pool" '^100\.(9[6-9]|1[01][0-9]|12[0-7])\.' "${v4[0]}"
claim_match "IPv6 proxy addresses are from the pool" '^fd00:2021:1111:8000:' "${v6[0]}"

# P-03: the same addresses in the same order.
claim_eq "asked again, the addresses are the same" "${v4[*]}" \
    "$(lab_client dig +short web.corp.example A | tr '\n' ' ' | sed 's/ $//')"

# C-01: the query makes the domain pending, the gateway's answer confirms it.
claim_until 8 "the domain is confirmed" state_is web.corp.example confirmed

claim_match "HTTP over IPv4 comes from the egress address" \
    '^198\.51\.100\.10 198\.51\.100\.1 [0-9]+$' "$(who 4 web.corp.example)"
claim_match "HTTP over IPv6 comes from the egress address" \
    '^2001:db8:2::10 2001:db8:2::1 [0-9]+$' "$(who 6 web.corp.example)"
claim_eq "20 MB arrive whole over IPv4" 20000000 \
    "$(lab_client curl -sS4 -m 30 http://files.corp.example/bytes/20000000 | wc -c)"
claim_eq "20 MB arrive whole over IPv6" 20000000 \
    "$(lab_client curl -sS6 -m 30 http://files.corp.example/bytes/20000000 | wc -c)"
claim_eq "what arrives is what was sent" \
    "$(lab_net curl -sS http://198.51.100.10/bytes/5000001 | sha256sum)" \
    "$(lab_client curl -sS4 -m 30 http://web.corp.example/bytes/5000001 | sha256sum)"

claim_eq "UDP over IPv4 is answered" "answers 1" "$(probe udp "${v4[1]}" 7)"
claim_eq "UDP over IPv6 is answered" "answers 1" "$(probe udp "${v6[1]}" 7)"
claim_eq "TCP echo over IPv6 connects" connected "$(probe tcp "${v6[2]}" 7)"
claim "ping over IPv4" lab_client ping -n -c 3 -i 0.1 -W 2 "${v4[2]}"
claim "ping over IPv6" lab_client ping -n -c 3 -i 0.1 -W 2 "${v6[3]}"

# G-08: round robin over the real addresses of each family.
settle multi.corp.example confirmed
mapfile -t v4 < <(lab_client dig +short multi.corp.example A | sort -t. -k4n)
reached=$(for a in "${v4[@]}"; do lab_client curl -sS -m 8 "http://$a/who"; done | cut -d' ' -f1)
claim_eq "four proxy addresses over two real ones: in turn" \
    "198.51.100.10 198.51.100.11 198.51.100.10 198.51.100.11" "$(tr '\n' ' ' <<<"$reached" | sed 's/ $//')"

# N-02: two ports of one proxy address from one client port share a mapping.
first=$(probe udp "${v4[0]}" 7 --from-port 34567)
claim_eq "a first flow of a client port" "answers 1" "$first"
claim_eq "one session for it" 1 \
    "$(lab_fqdnat -j session show proxy "${v4[0]}" | jq '[.[] | select(.client_port == 34567)] | length')"

# N-03: two proxy addresses of one real one, the same client port: both work, the ports differ.
claim_eq "the same client port to another proxy address" "answers 1" \
    "$(probe udp "${v4[2]}" 7 --from-port 34567)"
claim_eq "two sessions with different NAT ports" 2 "$(lab_fqdnat -j session show |
    jq '[.[] | select(.client_port == 34567 and .real == "198.51.100.10") | .nat_port] | unique | length')"

# A CNAME's end is what counts.
settle alias.corp.example confirmed
claim_match "a name that is an alias" '^198\.51\.100\.10 ' "$(who 4 alias.corp.example)"

# M-01: the pattern's bare domain matches, too.
settle corp.example confirmed
claim_match "*.corp.example includes corp.example" '^198\.51\.100\.10 ' "$(who 4 corp.example)"

claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
if [ "$LAB_MODE" = tc ]; then
    # A name that is asked for and used at once may still be pending: what was held is completed.
    held=$(reason injected)
    claim "partial checksums of the virtual links were left to the kernel, but of held packets" \
        [ "$(reason csum_partial)" -le "$held" ]
else
    claim "partial checksums of the virtual links were completed" grown csum_partial 0
fi
