#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Which source address the far side sees: the egress interface's (test_basic.sh), a given one, the client's own.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_MASQUERADE='["203.0.113.5", "2001:db8:77::5"]'
e2e_up
ip -n "$LAB_NET" route add 203.0.113.0/24 via 198.51.100.1
ip -n "$LAB_NET" -6 route add 2001:db8:77::/64 via 2001:db8:2::1
settle web.corp.example confirmed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)
# T-03: the source that the masquerade setting says.
claim_match "given addresses: IPv4" '^198\.51\.100\.10 203\.0\.113\.5 ' "$(who 4 web.corp.example)"
claim_match "given addresses: IPv6" '^2001:db8:2::10 2001:db8:77::5 ' "$(who 6 web.corp.example)"
claim "given addresses: ping" lab_client ping -n -c 2 -i 0.1 -W 2 "$v4"
claim_eq "the client's port is kept where it can be" 40001 "$(probe udp "$v4" 7 --from-port 40001 >/dev/null
    lab_fqdnat -j session show | jq '.[] | select(.client_port == 40001) | .nat_port')"

# G-27: no masquerading. A change of it takes effect with the next session; live ones keep theirs.
LAB_MASQUERADE=none
lab_config
kill -HUP "$(lab_pid fqdnatd)"
claim_until 15 "reloaded" grep -q 'configuration reloaded' "$LAB_LOG/fqdnatd.log"
ip -n "$LAB_NET" route add 192.0.2.0/24 via 198.51.100.1
ip -n "$LAB_NET" -6 route add 2001:db8:1::/64 via 2001:db8:2::1
claim_match "none: IPv4 is the client's own" '^198\.51\.100\.10 192\.0\.2\.2 ' "$(who 4 web.corp.example)"
claim_match "none: IPv6 is the client's own" '^2001:db8:2::10 2001:db8:1::2 ' "$(who 6 web.corp.example)"
claim_eq "none: UDP from a fixed port" "answers 1" "$(probe udp "$v6" 7 --from-port 40002)"
claim_eq "none: the client's port is kept" 40002 \
    "$(lab_fqdnat -j session show | jq '.[] | select(.client_port == 40002) | .nat_port')"
claim_eq "a session from before goes on" "answers 1" "$(probe udp "$v4" 7 --from-port 40001)"
claim_eq "with the address it had" 203.0.113.5 \
    "$(lab_fqdnat -j session show | jq -r '.[] | select(.client_port == 40001) | .nat')"
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
