#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The gateway's own traffic and sockets are never disturbed by translation.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle web.corp.example confirmed
proxy=$(address web.corp.example)
gw_probe() { lab_gw /usr/bin/python3 "$E2E_ROOT/tests/lib/probe.py" "$@" || true; }
nat_port() { lab_fqdnat -j session show | jq --argjson p "$1" '.[] | select(.client_port == $p) | .nat_port'; }

claim_match "the gateway fetches a page itself" '^198\.51\.100\.10 198\.51\.100\.1 ' \
    "$(lab_gw curl -sS -m 5 http://198.51.100.10/who)"
claim_match "over IPv6, too" '^2001:db8:2::10 2001:db8:2::1 ' \
    "$(lab_gw curl -sS -m 5 "http://[2001:db8:2::10]/who")"
claim "the gateway pings" lab_gw ping -n -c 1 -W 2 198.51.100.11

# A service of the gateway, from both sides.
lab_spawn service "$LAB_GW" socat TCP-LISTEN:2222,fork,reuseaddr PIPE
lab_until 5 lab_gw bash -c ': </dev/tcp/192.0.2.1/2222'
claim_eq "a service of the gateway, from the client" connected "$(probe tcp 192.0.2.1 2222)"
claim "a service of the gateway, from outside" \
    lab_net /usr/bin/python3 "$E2E_ROOT/tests/lib/probe.py" tcp 198.51.100.1 2222

# A NAT port never takes a local socket's flow: the gateway talks to the same server, from the very
# port that the client uses.
lab_spawn socket "$LAB_GW" socat UDP4:198.51.100.10:7,sourceport=20007 EXEC:'sleep 60'
lab_until 5 lab_gw bash -c 'ss -Hun "sport = :20007" | grep -q .'
claim_eq "the client's flow from the same port" "answers 1" "$(probe udp "$proxy" 7 --from-port 20007)"
claim "has another NAT port" test "$(nat_port 20007)" != 20007
lab_stop socket
claim_eq "the gateway's own flow from that port" "answers 1" \
    "$(gw_probe udp 198.51.100.10 7 --from-port 20007)"

lab_spawn socket "$LAB_GW" socat TCP4:198.51.100.10:7,sourceport=20008 EXEC:'sleep 60'
lab_until 5 lab_gw bash -c 'ss -Htn "sport = :20008" | grep -q ESTAB'
claim_eq "the same for TCP" connected "$(probe tcp "$proxy" 7 --from-port 20008)"
claim "another NAT port" test "$(nat_port 20008)" != 20008

# The kernel's ephemeral ports are not used: a socket opened later does not collide.
read -r low high <<<"$(lab_gw cat /proc/sys/net/ipv4/ip_local_port_range)"
claim_eq "a client port of the gateway's ephemeral range" "answers 1" \
    "$(probe udp "$proxy" 7 --from-port $(((low + high) / 2)))"
port=$(nat_port $(((low + high) / 2)))
claim "is translated to one outside of it" test "$port" -lt "$low" -o "$port" -gt "$high"

# What comes to the gateway from outside and belongs to nobody is the kernel's business.
claim_eq "a port nobody listens on: the kernel resets" reset \
    "$(lab_net /usr/bin/python3 "$E2E_ROOT/tests/lib/probe.py" tcp 198.51.100.1 2223 || true)"
