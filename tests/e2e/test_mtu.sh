#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The MTU of an interface changes while connections are busy: down to the least of IPv6, and up. What
# is sent next is measured by it.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# The kernel lets a veth with a native XDP program have no more than fits a page.
large=9000
[ "$LAB_MODE" = tc ] || large=3000
LAB_TRANSLATE=any
e2e_up
lab_zone set only6 60 AAAA 2001:db8:2::11
settle files.corp.example confirmed
settle only6.corp.example confirmed
v4=$(address files.corp.example)
v6=$(address files.corp.example AAAA)
only6=$(address only6.corp.example)

mtu() {
    ip -n "$LAB_GW" link set wan0 mtu "$1"
    ip -n "$LAB_NET" link set eth0 mtu "$1"
}
forget() {
    ip -n "$LAB_CLIENT" route flush cache
    ip -n "$LAB_CLIENT" -6 route flush cache
}
# told MTU PROXY: what ping is told of it
told() {
    local status=0
    forget
    lab_client ping -n -c 1 -W 2 -M 'do' -s 1440 "$2" >"$LAB_RUN/ping" 2>&1 || status=$?
    [ "$status" -ne 0 ] && grep -qE "mtu[ :=]+$1\b" "$LAB_RUN/ping"
}
fits() {
    forget
    lab_client ping -n -c 1 -W 2 -M 'do' -s "$1" "$2"
}
# Whether the last seconds have moved something (the very last interval may be a short one).
moves() { jq -e '.error == null and ([.intervals[-2:][].sum.bytes] | add) > 100000' "$1"; }

# flows DIRECTION: over IPv4 and, in the servers' own version, from IPv4 to IPv6.
flows() {
    local jobs=() proxy way=${1:-out}
    iperf_rest
    for proxy in "$v4" "$only6"; do
        lab_client timeout 60 iperf3 -J -b 50M -t 5 -c "$proxy" "$@" >"$LAB_RUN/iperf.$proxy" &
        jobs+=($!)
    done
    sleep 1
    mtu 1280
    # What the connections have under way may use up the limit of ICMP errors to this client first.
    claim_until 5 "MTU 1280: IPv4 is told, $way" told 1280 "$v4"
    claim_until 5 "MTU 1280: IPv6 is told, $way" told 1280 "$v6"
    claim_until 5 "MTU 1280: IPv4 to IPv6 is told, $way" told 1260 "$only6"
    sleep 0.5
    mtu "$large"
    claim_until 2 "MTU $large: what was too large passes, IPv4, $way" fits 1440 "$v4"
    claim_until 2 "MTU $large: what was too large passes, IPv6, $way" fits 1440 "$v6"
    claim_until 2 "MTU $large: what was too large passes, IPv4 to IPv6, $way" fits 1440 "$only6"
    wait "${jobs[@]}" || true
    claim "the connection over IPv4 has survived, $way" moves "$LAB_RUN/iperf.$v4"
    claim "the connection from IPv4 to IPv6 has survived, $way" moves "$LAB_RUN/iperf.$only6"
    mtu 1500
}
flows
flows -R
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"

# BIG TCP (at tc; XDP sees frames): packets above 64 KB have no length in their header. They are not
# translated, and the operator is told as far as the gateway can know.
[ "$LAB_MODE" = tc ] || exit 0
warns() { lab_fqdnat -j prog show | jq -e 'any(.[]; .dev == "wan0" and any(.warnings[]; test("gro_max_size")))'; }
claim_not "nothing is warned of" warns
ip -n "$LAB_GW" link set wan0 gro_max_size 200000
claim "an interface that merges to more than 64 KB is warned of" warns
ip -n "$LAB_CLIENT" link set eth0 gso_max_size 200000
lab_client timeout 5 iperf3 -t 1 -c "$v6" >/dev/null 2>&1 || true
claim "what is longer than 64 KB is dropped and counted" grown pool_malformed 0
ip -n "$LAB_CLIENT" link set eth0 gso_max_size 65536
ip -n "$LAB_GW" link set wan0 gro_max_size 65536
claim "with the usual sizes it is translated" iperf -t 1 -c "$v6"
