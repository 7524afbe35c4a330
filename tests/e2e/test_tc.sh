#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Mode auto between virtual interfaces: tc, which leaves their offloads as they are. (What tc does
# beside that is tested by test_tc_*.sh.)
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_MODE=auto
e2e_lab

offloads() { "lab_$1" ethtool -k "$2"; }
# Peers need no NAPI: what tc sends arrives as from any other sender.
lab_client ethtool -K eth0 gro off
lab_net ethtool -K eth0 gro off
places="client:eth0 net:eth0 gw:lan0 gw:wan0"
before=$(for p in $places; do offloads "${p%:*}" "${p#*:}"; done)
lab_daemon_start
after=$(for p in $places; do offloads "${p%:*}" "${p#*:}"; done)

claim_eq "auto is tc on veth" '["tc","tc"]' "$(lab_fqdnat -j prog show | jq -c '[.[].mode]')"
claim_eq "and says why" '["veth: offloads are kept"]' "$(lab_fqdnat -j prog show | jq -c '[.[].why] | unique')"
claim_match "the log does, too" 'mode=tc why="veth' "$(cat "$LAB_LOG/fqdnatd.log")"
claim_eq "no offload has been changed" "$before" "$after"
claim_eq "nothing is warned of" '[]' "$(lab_fqdnat -j prog show | jq -c '[.[].warnings[]]')"

settle files.corp.example confirmed
v4=$(address files.corp.example)
v6=$(address files.corp.example AAAA)
claim_eq "20 MB arrive whole over IPv4" 20000000 "$(lab_client curl -sS -m 30 "http://$v4/bytes/20000000" | wc -c)"
claim_eq "20 MB arrive whole over IPv6" 20000000 "$(lab_client curl -sS -m 30 "http://[$v6]/bytes/20000000" | wc -c)"

# shellcheck disable=SC2317 # called by claim
merged() {
    lab_fqdnat -j session show proxy "$1" | jq -e 'max_by(.bytes_out + .bytes_in)
        | [.bytes_out / .packets_out, .bytes_in / .packets_in] | max > 6000'
}

# Packets that are not cut: on average, they are far longer than the MTU.
for proxy in "$v4" "$v6"; do
    for reverse in '' -R; do
        iperf -J -t 2 -c "$proxy" $reverse >"$LAB_RUN/iperf.json" || true
        claim "iperf3 $proxy $reverse: ends without an error" jq -e '.error == null' "$LAB_RUN/iperf.json"
        claim "packets of 64 KB pass whole: $proxy $reverse" merged "$proxy"
    done
done
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"

# Datagrams that the sender has not cut yet (UDP_SEGMENT), by a socket option.
claim_eq "UDP segments arrive one by one" "10 of 1000" "$(lab_client /usr/bin/python3 - "$v4" <<'PY'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], 7))
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
s.send(bytes(10000))
got = [len(s.recv(65536)) for _ in range(10)]
print(len(got), "of", *set(got))
PY
)"

# A path that is narrower than the segments: the sender is told, and cuts smaller ones.
ip -n "$LAB_GW" link set wan0 mtu 1400
claim_eq "with a smaller MTU behind, what is sent arrives" 1000000 \
    "$(head -c 1000000 /dev/zero | lab_client socat -t 20 - "TCP:$v4:7" | wc -c)"
claim "the sender was told" grown too_big 0
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
