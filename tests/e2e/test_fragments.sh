#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Fragments through the gateway: in order and out of it, both IP versions, both directions; those of a
# domain that is pending; the host's own; and what waits in vain.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

pieces=$E2E_ROOT/tests/lib/fragments.py
e2e_up

# The first datagram of a name that nobody has asked for: its fragments wait for the gateway.
v4=$(address files.corp.example)
claim "a name's first datagram may be fragmented" lab_client "$pieces" echo "$v4"
v6=$(address files.corp.example AAAA)
settle files.corp.example confirmed

claim "ping with 3000 bytes, IPv4" lab_client ping -n -c 3 -i 0.1 -W 2 -s 3000 "$v4"
claim "ping with 3000 bytes, IPv6" lab_client ping -n -c 3 -i 0.1 -W 2 -s 3000 "$v6"
for order in forward reverse shuffle; do
    claim "UDP out, $order, IPv4" lab_client "$pieces" echo "$v4" --order "$order"
    claim "UDP out, $order, IPv6" lab_client "$pieces" echo "$v6" --order "$order"
done

# nat_port PORT: what a client's UDP port has become.
nat_port() {
    lab_fqdnat -j session show | jq -r --argjson p "$1" '.[] | select(.client_port == $p) | .nat_port'
}

# in_order ORDER PROXY SERVER NAT: a fragmented datagram from the server, in that order.
in_order() {
    local out=$LAB_RUN/wait status=0 pid
    rm -f "$out"
    lab_client "$pieces" wait "$2" >"$out" &
    pid=$!
    lab_until 5 test -s "$out" || return 1
    lab_net "$pieces" send "$3" 7 "$4" "$(nat_port "$(cat "$out")")" --order "$1"
    wait "$pid" || status=$?
    return "$status"
}

# The server's real addresses are those that it answers with; the first translation is as good as any.
real4=$(lab_fqdnat -j session show | jq -r '[.[] | select(.real | contains(":") | not)][0].real')
real6=$(lab_fqdnat -j session show | jq -r '[.[] | select(.real | contains(":"))][0].real')
proxy4=$(lab_fqdnat -j session show | jq -r --arg r "$real4" '[.[] | select(.real == $r)][0].proxy')
proxy6=$(lab_fqdnat -j session show | jq -r --arg r "$real6" '[.[] | select(.real == $r)][0].proxy')
for order in forward reverse shuffle; do
    claim "UDP in, $order, IPv4" in_order "$order" "$proxy4" "$real4" 198.51.100.1
    claim "UDP in, $order, IPv6" in_order "$order" "$proxy6" "$real6" 2001:db8:2::1
done

# The gateway's own datagrams, in the same orders.
claim "the host's own fragments arrive, IPv4" lab_gw "$pieces" echo 198.51.100.10
claim "the host's own fragments arrive, IPv6" lab_gw ping -n -c 2 -i 0.1 -s 3000 2001:db8:2::10

released=$(lab_fqdnat -j stats show | jq '[.[] | select(.reason == "fragment_released")][0].packets')
claim "fragments have waited and been put back ($released)" test "$released" -gt 10
claim_eq "none was refused for a limit" 0 \
    "$(lab_fqdnat -j stats show | jq '[.[] | select(.reason == "fragment_limit") | .packets] | add // 0')"

# What is too big for the next hop and may be fragmented is (DF clear); else the sender is told.
lab_gw ip link set wan0 mtu 1000
lab_net ip link set eth0 mtu 1000
claim "DF clear: fragmented for a smaller MTU" lab_client "$pieces" whole "$v4" --size 1400
claim_match "DF set: the sender is told" "mtu.? ?=? ?1000" \
    "$(lab_client ping -n -c 1 -W 2 -M "do" -s 1400 "$v4" 2>&1 || true)"
lab_net ip link set eth0 mtu 1500
lab_gw ip link set wan0 mtu 1500

# Without the first one: kept for a while, then dropped and counted.
expired() { [ "$(reason fragment_expired)" -eq "$1" ]; }
before=$(reason fragment_expired)
lab_client python3 - "$pieces" "$v4" <<'PYTHON'
import importlib.util, ipaddress, socket, sys
spec = importlib.util.spec_from_file_location("fragments", sys.argv[1])
f = importlib.util.module_from_spec(spec)
spec.loader.exec_module(f)
class Args: size, order = 3000, "forward"
src, dst = ipaddress.ip_address("192.0.2.2"), ipaddress.ip_address(sys.argv[2])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, f.RAW)
for part in f.fragments(src, dst, 4000, 7, Args)[1:]:
    raw.sendto(part, (str(dst), 0))
PYTHON
claim_until 8 "fragments without a first one are dropped and counted" expired $((before + 5))
claim "the limit is in sight" lab_fqdnat -j stats limits
