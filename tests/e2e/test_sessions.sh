#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The life of a session as hosts on both sides see it: who may answer, when it ends, what comes too late.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_SESSIONS='{max: 16, per_client: 16}'
# Idle sessions end after so many seconds: long while one is looked at, short when it is to end.
idle_times() {
    LAB_TIMEOUTS="{udp_s: $1, unconfirmed_s: $1, icmp_s: $1"
    LAB_TIMEOUTS+=', tcp_closing_s: 1, tcp_reset_s: 1, tombstone_s: 600}'
}
idle_times 600
e2e_up
settle web.corp.example confirmed
settle any.open.example confirmed
settle dead.corp.example confirmed
proxy=$(address web.corp.example)
open=$(address any.open.example)
dead=$(address dead.corp.example)

net_probe() { lab_net /usr/bin/python3 "$E2E_ROOT/tests/lib/probe.py" "$@" || true; }
session_of() { lab_fqdnat -j session show | jq -c --argjson p "$1" --arg k "$2" '.[] | select(.client_port == $p) | .[$k]'; }
sessions_end_after() {
    idle_times "$1"
    lab_config
    kill -HUP "$(lab_pid fqdnatd)"
    claim_until 5 "idle sessions end after $1 s" idle_time_is "$1"
}
idle_time_is() { [ "$(lab_fqdnat -j config show | jq .gateway.timeouts.udp_s)" -eq "$1" ]; }
sessions_are() { [ "$(sessions)" -eq "$1" ]; }
port_sessions_are() { [ "$(lab_fqdnat -j session show | jq --argjson p "$1" '[.[] | select(.client_port == $p)] | length')" -eq "$2" ]; }

# A client that says hello to a proxy address from a port and writes down what comes back.
listener='
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.2", int(sys.argv[2])))
s.sendto(b"hello", (sys.argv[1], 7))
while True:
    data, peer = s.recvfrom(2048)
    print(data.decode(), *peer)'
heard() { grep -q -- "$2" "$LAB_LOG/$1.log"; }
heard_nothing_else() { [ "$(wc -l <"$LAB_LOG/$1.log")" -eq "$2" ]; }

# G-42, G-45: the server may send from any port of its address, another host may not.
lab_spawn open-listener "$LAB_CLIENT" /usr/bin/python3 -u -c "$listener" "$open" 41000
claim_until 5 "a client's datagram is answered" heard open-listener "^hello $open 7$"
net_probe udp 198.51.100.1 "$(session_of 41000 nat_port)" --from 198.51.100.11 --timeout 0.3 >/dev/null
claim_until 3 "the server's other port reaches the client, from the proxy address" heard open-listener "^1 $open"
net_probe udp 198.51.100.1 "$(session_of 41000 nat_port)" --from 198.51.100.10 --timeout 0.3 >/dev/null
claim "another host does not" heard_nothing_else open-listener 2

# G-46: nor does a port of the server that the filter does not permit.
lab_spawn listener "$LAB_CLIENT" /usr/bin/python3 -u -c "$listener" "$proxy" 41001
claim_until 5 "another resource's datagram is answered" heard listener "^hello $proxy 7$"
nat_port=$(session_of 41001 nat_port)
net_probe udp 198.51.100.1 "$nat_port" --from 198.51.100.10 --timeout 0.3 >/dev/null
claim "a port that the filter denies does not reach the client" heard_nothing_else listener 1

# N-06, N-07: a session ends after its idle time, counted from the last packet in either direction.
sessions_end_after 2
claim_until 8 "an idle session is removed by itself" port_sessions_are 41001 0
claim "counted as expired" grown session_expired 0

# G-43: what comes too late is dropped, not taken for the gateway's own.
before=$(reason expired_session)
net_probe udp 198.51.100.1 "$nat_port" --from 198.51.100.10 --timeout 0.3 >"$LAB_RUN/late.out"
claim_eq "a late packet is not answered" timeout "$(cat "$LAB_RUN/late.out")"
claim "counted as expired_session" grown expired_session "$before"

# N-11, N-05: the same client port gets the same NAT port, and works at once.
sessions_end_after 600
claim_eq "the port is used again" "answers 1" "$(probe udp "$proxy" 7 --from-port 42000)"
first=$(session_of 42000 nat_port)
claim_match "by a NAT port" '^[0-9]+$' "$first"
sessions_end_after 2
claim_until 8 "it ends" port_sessions_are 42000 0
sessions_end_after 600
claim_eq "a session of the same port" "answers 1" "$(probe udp "$proxy" 7 --from-port 42000)"
claim_eq "has the same NAT port" "$first" "$(session_of 42000 nat_port)"

# A full table empties by itself.
lab_fqdnat session flush >/dev/null
lab_client /usr/bin/python3 -c '
import socket, sys
for port in range(43001, 43017):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("192.0.2.2", port))
    s.sendto(b"anybody?", (sys.argv[1], 7))' "$dead"
claim_eq "the table is full" 16 "$(sessions)"
claim_match "a new session is refused" '^icmp 3 13 ' "$(probe udp "$proxy" 7 --from-port 43017)"
sessions_end_after 2
claim_until 8 "unanswered sessions end" sessions_are 0
claim_eq "there is room again" "answers 1" "$(probe udp "$proxy" 7 --from-port 43017)"

# TCP: closed in both directions, or reset, a session ends soon.
claim_eq "a TCP connection" connected "$(probe tcp "$proxy" 7 --from-port 44001)"
claim_until 8 "is removed after it was closed" port_sessions_are 44001 0
