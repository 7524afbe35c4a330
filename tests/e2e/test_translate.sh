#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Names of one IP version, reached by the other: HTTP, UDP, ping, in both directions and in native and
# generic mode; too large packets, unknown neighbours, held packets, and what happens when it is
# permitted and forbidden.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

reload() {
    lab_config
    kill -HUP "$(lab_pid fqdnatd)"
}
real_is() { lab_fqdnat -j proxy show | jq -e --arg a "$1" --arg r "$2" \
    'any(.[]; .address == $a and (.real_address // "none") == $r)'; }
# Whether what the client gets is what the far side has: same FAMILY(4|6) NAME REAL BYTES
# shellcheck disable=SC2317 # called by claim
same() {
    [ "$(lab_client curl -sS "-$1" -m 30 "http://$2/bytes/$4" | sha256sum)" = \
        "$(lab_net curl -sS "http://$3/bytes/$4" | sha256sum)" ]
}

LAB_RESOLVER_TIMEOUT=$E2E_HELD_S
e2e_up
settle six.corp.example confirmed
settle four.corp.example confirmed
six=$(address six.corp.example)
four=$(address four.corp.example AAAA)

# G-26: without being told to, nothing is translated.
claim_eq "IPv4 to an IPv6-only name is unreachable" "icmp 3 0 $six" "$(probe udp "$six" 7)"
claim_eq "IPv6 to an IPv4-only name is unreachable" "icmp 1 3 $four" "$(probe udp "$four" 7)"

# G-54: the setting takes effect at once.
LAB_TRANSLATE=any
reload
claim_until 5 "a proxy address of IPv4 means one of IPv6" real_is "$six" 2001:db8:2::10
claim_until 5 "a proxy address of IPv6 means one of IPv4" real_is "$four" 198.51.100.10

detach() { lab_fqdnat prog detach dev lan0 && lab_fqdnat prog detach dev wan0; }

crossing() {
    local mode=$1
    # G-50, G-51
    claim_match "$mode: HTTP from IPv4 to IPv6 comes from the egress address" \
        '^2001:db8:2::10 2001:db8:2::1 [0-9]+$' "$(who 4 six.corp.example)"
    claim_match "$mode: HTTP from IPv6 to IPv4 comes from the egress address" \
        '^198\.51\.100\.10 198\.51\.100\.1 [0-9]+$' "$(who 6 four.corp.example)"
    claim "$mode: what arrives over IPv4 is what was sent" \
        same 4 six.corp.example '[2001:db8:2::10]' 5000001
    claim "$mode: what arrives over IPv6 is what was sent" \
        same 6 four.corp.example 198.51.100.10 5000001
    claim_eq "$mode: UDP from IPv4" "answers 1 2 3" "$(probe udp "$six" 7 --count 3)"
    claim_eq "$mode: UDP from IPv6" "answers 1 2 3" "$(probe udp "$four" 7 --count 3)"
    claim_eq "$mode: UDP from IPv4 without checksum" "answers 1" \
        "$(probe udp "$six" 7 --no-checksum)"
    claim "$mode: ping from IPv4" lab_client ping -n -c 3 -i 0.1 -W 2 "$six"
    claim "$mode: ping from IPv6" lab_client ping -n -c 3 -i 0.1 -W 2 "$four"
    claim "$mode: ping with an odd length from IPv4" \
        lab_client ping -n -c 2 -i 0.1 -W 2 -s 1231 "$six"
    claim "$mode: ping with an odd length from IPv6" \
        lab_client ping -n -c 2 -i 0.1 -W 2 -s 1231 "$four"
    # I-07: nobody listens there, and the server says so in its own version.
    claim_eq "$mode: a closed port of IPv6" "icmp 3 3 $six" "$(probe udp "$six" 5201)"
    claim_eq "$mode: a closed port of IPv4" "icmp 1 4 $four" "$(probe udp "$four" 5201)"
    ip -n "$LAB_GW" neigh flush all
    claim_eq "$mode: an unknown neighbour of IPv6" "answers 1 2 3" "$(probe udp "$six" 7 --count 3)"
    ip -n "$LAB_GW" neigh flush all
    claim_eq "$mode: an unknown neighbour of IPv4" "answers 1 2 3" "$(probe udp "$four" 7 --count 3)"
}
crossing native
claim "a missing checksum was made" grown csum_made 0

# G-52: 1500 bytes of IPv4 would be 1520 of IPv6.
claim_match "an IPv4 packet that would not fit is told the MTU" 'mtu = 1480' \
    "$(lab_client ping -n -c 1 -W 2 -M 'do' -s 1472 "$six" 2>&1 || true)"
claim "one that just fits arrives" lab_client ping -n -c 1 -W 2 -M 'do' -s 1452 "$six"
# RFC 7915 4: who does not say DF leaves it to us to fragment.
may_be_fragmented() {
    lab_client /usr/bin/python3 - "$1" <<'PYTHON'
import socket, sys
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
s.settimeout(20)
s.connect((sys.argv[1], 7))
s.send(bytes(1472))
print(len(s.recv(2000)))
PYTHON
}
claim_eq "one that may be fragmented is, and so is the answer" 1472 "$(may_be_fragmented "$six")"
claim "a full IPv6 packet shrinks" lab_client ping -n -c 1 -W 2 -M 'do' -s 1452 "$four"

# N-01: the table and the command line know both halves.
claim_eq "sessions are shown with the addresses of both versions" \
    "192.0.2.2 2001:db8:2::1 2001:db8:2::10" \
    "$(lab_fqdnat -j session show proxy "$six" | jq -r '.[0] | "\(.client) \(.nat) \(.real)"')"
claim "replies are counted" jq -e 'any(.[]; .protocol == "tcp" and .packets_in > 0)' \
    <(lab_fqdnat -j session show proxy "$four")
lab_fqdnat session flush proxy "$six" >/dev/null
claim_eq "flushed sessions are gone" 0 "$(sessions proxy "$six")"
claim_eq "and open again" "answers 1" "$(probe udp "$six" 7)"

# Held packets go out translated.
lab_mute slow
lab_zone set slow 60 AAAA 2001:db8:2::11
proxy=$(address slow.corp.example)
probe udp "$proxy" 7 --count 2 --timeout "$E2E_HELD_S" >"$LAB_RUN/held.out" &
waiting=$!
held() { [ "$(lab_fqdnat -j domain show slow.corp.example | jq '[.[].held_packets] | add')" -eq 2 ]; }
claim_until 10 "packets of a pending domain are held" held
lab_unmute slow
wait "$waiting"
claim_eq "and released into the other version" "answers 1 2" "$(cat "$LAB_RUN/held.out")"

# Bulk, both ways. Datagrams of 4000 bytes are fragments of 1500, which are too long for IPv6: each is sent
# when the one before is back, so that no socket on the way has too many.
large_datagrams() {
    lab_client /usr/bin/python3 - "$1" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], 7))
for number in range(100):
    data = bytes([number]) * 4000
    s.send(data)
    assert s.recv(5000) == data
print("100 came back")
PYTHON
}
lab_zone set only6 60 AAAA 2001:db8:2::11
lab_zone set only4 60 A 198.51.100.11
settle only6.corp.example confirmed
settle only4.corp.example confirmed
for proxy in "$(address only6.corp.example)" "$(address only4.corp.example AAAA)"; do
    claim "TCP out to $proxy" iperf -t 1 -c "$proxy"
    claim "TCP in from $proxy" iperf -t 1 -c "$proxy" -R
    claim "UDP out to $proxy" iperf -t 1 -c "$proxy" -u -b 20M -l 1400
    claim "UDP in from $proxy" iperf -t 1 -c "$proxy" -u -b 20M -l 1400 -R
    claim_eq "large datagrams to and from $proxy" "100 came back" "$(large_datagrams "$proxy")"
done
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"

# Generic mode sees unsegmented frames unless the endpoints make none, which can be said to a veth only
# when its peer has no native program any more.
lab_daemon_stop
claim "the programs are detached" detach
for place in lab_client lab_net; do
    $place ethtool -K eth0 tso off gso off gro off >/dev/null
done
LAB_MODE=generic
lab_config
lab_daemon_start
claim_eq "both programs run in generic mode" '["generic"]' "$(values prog mode | jq -Rsc 'split("\n")[:-1] | unique')"
settle six.corp.example confirmed
settle four.corp.example confirmed
crossing generic
claim_eq "no checksum error at the endpoints in generic mode" 0 "$(checksum_errors)"

# And forbidden again: sessions go on (G-30), new flows are refused.
claim_eq "a session" "answers 1" "$(probe udp "$six" 7 --from-port 40001)"
LAB_TRANSLATE=same-family
reload
claim_until 5 "the proxy address means nothing again" real_is "$six" none
claim_eq "the session goes on" "answers 1" "$(probe udp "$six" 7 --from-port 40001)"
claim_eq "a new flow is refused" "icmp 3 0 $six" "$(probe udp "$six" 7 --from-port 40002)"
