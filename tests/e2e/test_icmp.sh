#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ICMP errors through the gateway, with tools that others wrote: traceroute, tracepath, mtr, ping, curl,
# iperf3. Routers on both sides, with a smaller MTU behind them:
#
#     inner ── 1300 ── client ── gateway ── net ── 1300 ── far
#
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=tests/lib/far.sh
. "$(dirname "$0")/../lib/far.sh"

inner=fqdnat-$$-${e2e_name#test_}-inner
inner() { ip netns exec "$inner" "$@"; }

# The client becomes a router, too, for a host that believes that its path is as wide as usual.
inner_up() {
    lab_netns "$inner"
    lab_link "$LAB_CLIENT" inner0 "$inner" eth0
    lab_address "$LAB_CLIENT" inner0 192.0.2.129/25 2001:db8:1:0:8000::1/65
    lab_address "$inner" eth0 192.0.2.130/25 2001:db8:1:0:8000::2/65
    lab_sysctl "$LAB_CLIENT" net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
    ip -n "$inner" route add default via 192.0.2.129 advmss 1460
    ip -n "$inner" -6 route add default via 2001:db8:1:0:8000::1 advmss 1440
    ip -n "$LAB_GW" route add 192.0.2.128/25 via 192.0.2.2
    ip -n "$LAB_GW" -6 route add 2001:db8:1:0:8000::/65 via 2001:db8:1::2
    ip -n "$LAB_CLIENT" link set inner0 mtu 1300
    ip -n "$inner" link set eth0 mtu 1300
}

LAB_FILTERS='[{tcp: 1-65535}, {udp: 1-65535}, icmp]'
e2e_lab
far_up
inner_up
lab_daemons_start
settle far.corp.example confirmed
v4=$(address far.corp.example)
v6=$(address far.corp.example AAAA)
router6=$(ip -n "$LAB_NET" -6 route get 2001:db8:2::1 | sed -n 's/.* src \([^ ]*\).*/\1/p')

# ---- who is on the path ----

# I-01, I-02, I-06: every hop answers, and all of them by the proxy address.
hidden() {
    local way
    for way in -I "-U -p 33434" "-T -p 80"; do
        # shellcheck disable=SC2086 # words
        claim_eq "traceroute $way: three hops, hidden, IPv4" "$v4 $v4 $v4" "$(hops $way "$v4")"
        # shellcheck disable=SC2086 # words
        claim_eq "traceroute $way: three hops, hidden, IPv6" "$v6 $v6 $v6" "$(hops $way "$v6")"
    done
}

# I-06: with hops: show, routers are seen; the resource is not.
shown() {
    local way
    for way in -I "-U -p 33434" "-T -p 80"; do
        # shellcheck disable=SC2086 # words
        claim_eq "traceroute $way: hops are shown, IPv4" "192.0.2.1 198.51.100.2 $v4" "$(hops $way "$v4")"
        # shellcheck disable=SC2086 # words
        claim_eq "traceroute $way: hops are shown, IPv6" "2001:db8:1::1 $router6 $v6" \
            "$(hops $way "$v6")"
    done
    claim_eq "mtr: hops are shown, IPv4" "192.0.2.1 0 198.51.100.2 0 $v4 0" "$(mtr_hops "$v4")"
    claim_eq "mtr: hops are shown, IPv6" "2001:db8:1::1 0 $router6 0 $v6 0" "$(mtr_hops "$v6")"
}

# Addresses and losses.
mtr_hops() {
    lab_client mtr --report --json -n -c 3 -i 0.2 "$1" |
        jq -r '[.report.hubs[] | "\(.host) \(."Loss%" | floor)"] | join(" ")'
}

hidden

# tracepath ends at the resource, and has learned the MTU on its way.
pathmtu() { lab_client tracepath -n -m 8 "$1" | sed -n 's/.*Resume: //p' | sed 's/ back.*//'; }
claim_eq "tracepath: MTU and hops, IPv4" "pmtu 1300 hops 3" "$(pathmtu "$v4")"
claim_eq "tracepath: MTU and hops, IPv6" "pmtu 1300 hops 3" "$(pathmtu "$v6")"

# ---- MTU ----

forget() {
    local netns
    for netns in "$LAB_CLIENT" "$inner" "$far"; do
        ip -n "$netns" route flush cache
        ip -n "$netns" -6 route flush cache
    done
}

# I-01: the error that says how wide the path is reaches who has sent too much.
claim_match "ping -M do: too big, IPv4" 'mtu[ :=]+1300' \
    "$(lab_client ping -n -c 2 -i 0.1 -W 2 -M 'do' -s 1400 "$v4" 2>&1 || true)"
claim_match "ping -M do: too big, IPv6" 'mtu[ :=]+1300' \
    "$(lab_client ping -n -c 2 -i 0.1 -W 2 -M 'do' -s 1400 "$v6" 2>&1 || true)"
claim "ping -M do: what fits arrives, IPv4" lab_client ping -n -c 2 -i 0.1 -W 2 -M 'do' -s 1272 "$v4"
claim "ping -M do: what fits arrives, IPv6" lab_client ping -n -c 2 -i 0.1 -W 2 -M 'do' -s 1252 "$v6"

# A narrow path behind the gateway, from client to far; before the client, from far to inner (G-20: the
# error comes from a router on the client's side).
forget
# (iperf3 ends when all is sent, whatever is under way.)
upload() {
    iperf -J -n 4M -c "$1" >"$LAB_RUN/iperf.json" || true
    jq -e '.error == null and .end.sum_received.bytes > 1000000' "$LAB_RUN/iperf.json"
}
claim "a stream up a path that becomes narrow, IPv4" upload "$v4"
claim "a stream up a path that becomes narrow, IPv6" upload "$v6"
before=$(reason icmp_translated)
download() { inner curl -sS -m 20 "http://$1/bytes/4000000" | wc -c; }
ip -n "$LAB_NET" link set far0 mtu 1500
ip -n "$far" link set eth0 mtu 1500
forget
claim_eq "4 MB down a path that becomes narrow, IPv4" 4000000 "$(download "$v4")"
claim_eq "4 MB down a path that becomes narrow, IPv6" 4000000 "$(download "[$v6]")"
claim "the resource was told by errors of a client's router" test "$(reason icmp_translated)" -ge $((before + 2))
claim "the resource knows the path's MTU, IPv4" grep -q "mtu 1300" \
    <(ip -n "$far" route get 198.51.100.1)
claim "the resource knows the path's MTU, IPv6" grep -q "mtu 1300" \
    <(ip -n "$far" -6 route get 2001:db8:2::1)

# ---- closed ports ----

# I-03: the socket that has sent is told.
refused() {
    lab_client /usr/bin/python3 - "$1" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], 4444))
s.send(b"anybody?")
try:
    s.recv(100)
except ConnectionRefusedError:
    print("refused")
PYTHON
}
claim_eq "UDP to a closed port is refused, IPv4" refused "$(refused "$v4")"
claim_eq "UDP to a closed port is refused, IPv6" refused "$(refused "$v6")"

# ---- shown ----

LAB_HOPS=show
lab_config
kill -HUP "$(lab_pid fqdnatd)"
shows() { lab_fqdnat -j config show | jq -e '.gateway.hops == "show"'; }
claim_until 10 "hops are shown from now on" shows
first_hop_shown() { [ "$(hops -I -m 1 "$v4")" = 192.0.2.1 ]; }
claim_until 10 "the gateway is one of them" first_hop_shown
shown
claim_eq "no error had a wrong checksum" 0 "$(reason icmp_bad_checksum)"
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
