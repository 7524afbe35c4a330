#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Generic mode, for interfaces without native XDP: the same translations. Endpoints must not send
# larger frames than the link takes (generic XDP would see unsegmented ones).
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_MODE=generic
LAB_RESOLVER_TIMEOUT=$E2E_HELD_S
e2e_lab
for place in lab_client lab_net; do
    $place ethtool -K eth0 tso off gso off gro off >/dev/null
done
lab_daemon_start
settle files.corp.example confirmed
v4=$(address files.corp.example)
v6=$(address files.corp.example AAAA)

claim_eq "both programs run in generic mode" '["generic"]' "$(values prog mode | jq -Rsc 'split("\n")[:-1] | unique')"
claim_match "HTTP over IPv4" '^198\.51\.100\.11 198\.51\.100\.1 ' "$(who 4 files.corp.example)"
claim_match "HTTP over IPv6" '^2001:db8:2::11 2001:db8:2::1 ' "$(who 6 files.corp.example)"
claim_eq "5 MB arrive whole over IPv4" 5000000 \
    "$(lab_client curl -sS4 -m 30 http://files.corp.example/bytes/5000000 | wc -c)"
claim_eq "5 MB arrive whole over IPv6" 5000000 \
    "$(lab_client curl -sS6 -m 30 http://files.corp.example/bytes/5000000 | wc -c)"
claim_eq "UDP over IPv4" "answers 1 2 3" "$(probe udp "$v4" 7 --count 3)"
claim_eq "UDP over IPv6" "answers 1 2 3" "$(probe udp "$v6" 7 --count 3)"
claim "ping over IPv4" lab_client ping -n -c 2 -i 0.1 -W 2 "$v4"
claim "ping over IPv6" lab_client ping -n -c 2 -i 0.1 -W 2 "$v6"
claim_eq "a refusal over IPv4" "icmp 3 13 $v4" "$(probe tcp "$v4" 8000)"
claim_eq "a refusal over IPv6" "icmp 1 1 $v6" "$(probe udp "$v6" 9007)"
ip -n "$LAB_GW" neigh flush all
claim_eq "an unknown neighbour" "answers 1 2 3" "$(probe udp "$v4" 7 --count 3)"
lab_mute slow
lab_zone set slow 60 A 198.51.100.11
proxy=$(address slow.corp.example)
probe udp "$proxy" 7 --count 2 --timeout "$E2E_HELD_S" >"$LAB_RUN/held.out" &
waiting=$!
held() { [ "$(lab_fqdnat -j domain show slow.corp.example | jq '[.[].held_packets] | add')" -eq 2 ]; }
claim_until 10 "packets of a pending domain are held" held
lab_unmute slow
wait "$waiting"
claim_eq "and released" "answers 1 2" "$(cat "$LAB_RUN/held.out")"
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
