#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Tools that others wrote, in every mode of translation: within IPv4 and IPv6, and from one to the other.
# With a router on the far side, and a smaller MTU behind it:
#
#     client ── gateway ── net ── 1300 ── far
#
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"
# shellcheck source=tests/lib/far.sh
. "$(dirname "$0")/../lib/far.sh"

pieces=$E2E_ROOT/tests/lib/fragments.py

names() {
    lab_zone set far4 60 A 203.0.113.80
    lab_zone set far6 60 AAAA 2001:db8:99::80
    lab_zone set near4 60 A 198.51.100.11
    lab_zone set near6 60 AAAA 2001:db8:2::11
}

LAB_FILTERS='[{tcp: 1-65535}, {udp: 1-65535}, icmp]'
LAB_TRANSLATE=any
e2e_lab
far_up
names
lab_daemons_start
for name in far far4 far6 near4 near6; do
    settle "$name.corp.example" confirmed
done

# mode | name | asked for | MTU of the path as the client learns it | payload of a ping of that size
modes() {
    cat <<'ROWS'
NAT44 far A 1300 1272
NAT66 far AAAA 1300 1252
NAT46 far6 A 1280 1252
NAT64 far4 AAAA 1320 1272
ROWS
}

# Addresses and losses.
mtr_hops() {
    lab_client mtr --report --json -n -c 3 -i 0.2 "$1" |
        jq -r '[.report.hubs[] | "\(.host) \(."Loss%" | floor)"] | join(" ")'
}
pathmtu() { lab_client tracepath -n -m 8 "$1" | sed -n 's/.*Resume: //p' | sed 's/ back.*//'; }
forget() {
    local netns
    for netns in "$LAB_CLIENT" "$LAB_NET" "$far"; do
        ip -n "$netns" route flush cache
        ip -n "$netns" -6 route flush cache
    done
}

# transfer MODE PROXY WORDS...: a second of iperf3; its rate is told.
transfer() {
    local mode=$1 proxy=$2
    shift 2
    iperf -J -t 1 -c "$proxy" "$@" >"$LAB_RUN/iperf.json" || true
    # What the gateway drops is counted, see the end; a busy machine may lose some in sockets.
    claim "$mode: iperf3 $*" jq -e '.error == null and (.end.sum_received // .end.sum).bytes > 50000
        and (.end.sum.lost_percent // 0) < 20' "$LAB_RUN/iperf.json"
    jq -r '"# \((.end.sum_received // .end.sum).bits_per_second / 1e6 | floor) Mbit/s, " +
        "lost \(.end.sum.lost_percent // 0) %"' "$LAB_RUN/iperf.json" || true
}

# I-01, I-02, I-06, I-07, G-52: name, family, MTU and payload from the table.
tools() {
    local mode=$1 proxy=$2 mtu=$3 fits=$4 way direction
    for way in -I "-U -p 33434" "-T -p 80"; do
        # shellcheck disable=SC2086 # words
        claim_eq "$mode: traceroute $way: three hops, hidden" "$proxy $proxy $proxy" "$(hops $way "$proxy")"
    done
    # It takes the first one that answers by the target's address for the target.
    claim_eq "$mode: mtr: nothing lost" "$proxy 0" "$(mtr_hops "$proxy")"
    forget
    claim_eq "$mode: tracepath: MTU and hops" "pmtu $mtu hops 3" "$(pathmtu "$proxy")"
    forget
    claim_match "$mode: ping -M do: too big" "mtu[ :=]+$mtu" \
        "$(lab_client ping -n -c 2 -i 0.1 -W 2 -M 'do' -s 1400 "$proxy" 2>&1 || true)"
    claim "$mode: ping -M do: what fits arrives" \
        lab_client ping -n -c 2 -i 0.1 -W 2 -M 'do' -s "$fits" "$proxy"
    forget
    for direction in '' -R; do
        transfer "$mode" "$proxy" $direction
        transfer "$mode" "$proxy" -u -b 1M -l 1200 $direction
    done
}

while read -r mode name type mtu fits; do
    tools "$mode" "$(address "$name.corp.example" "$type")" "$mtu" "$fits"
done < <(modes)

# ---- fragments ----

for type in A AAAA; do
    claim "ping -s 3000 ($type)" lab_client ping -n -c 3 -i 0.1 -W 2 -s 3000 \
        "$(address far.corp.example "$type")"
done
# RFC 7915 1.2: between versions there are none of ICMP.
stays=$(reason fragment_stays)
claim_not "ping -s 3000 from IPv4 to IPv6 has no answer" lab_client ping -n -c 1 -W 1 -s 3000 \
    "$(address far6.corp.example)"
claim_not "ping -s 3000 from IPv6 to IPv4 has no answer" lab_client ping -n -c 1 -W 1 -s 3000 \
    "$(address far4.corp.example AAAA)"
claim "and is counted" grown fragment_stays "$stays"

# G-52, RFC 7915 4: what becomes too large on its way to IPv6 is fragmented if it has DF clear: whole
# packets of 1500 bytes, and fragments.
near6=$(address near6.corp.example)
near4=$(address near4.corp.example AAAA)
slow=$(reason translated_slow)
for netns in "$LAB_CLIENT" "$LAB_NET"; do
    lab_sysctl "$netns" net/ipv4/ip_no_pmtu_disc=1
done
forget
transfer "NAT46, DF clear" "$near6" -u -b 1M -l 1472
transfer "NAT64, DF clear" "$near4" -u -b 1M -l 1472 -R
claim "by the slow way" grown translated_slow "$((slow + 50))"
for order in forward reverse shuffle; do
    claim "fragmented datagrams from IPv4, $order" lab_client "$pieces" echo "$near6" --order "$order"
    claim "fragmented datagrams from IPv6, $order" lab_client "$pieces" echo "$near4" --order "$order"
done
# Datagrams that the sender has not cut yet (UDP_SEGMENT): at tc one packet until they leave.
segments() {
    lab_client /usr/bin/python3 - "$1" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect((sys.argv[1], 7))
s.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
s.send(bytes(10000))
got = [len(s.recv(65536)) for _ in range(10)]
print(len(got), "of", *set(got))
PYTHON
}
claim_eq "UDP segments from IPv4 to IPv6 arrive one by one" "10 of 1000" "$(segments "$near6")"
claim_eq "UDP segments from IPv6 to IPv4 arrive one by one" "10 of 1000" "$(segments "$near4")"

# ---- shown ----

# With hops: show, routers are seen, but for those of the other version, which have no address here.
LAB_HOPS=show
lab_config
kill -HUP "$(lab_pid fqdnatd)"
v4=$(address far.corp.example)
first_hop_shown() { [ "$(hops -I -m 1 "$v4")" = 192.0.2.1 ]; }
claim_until 10 "hops are shown from now on" first_hop_shown
router6=$(ip -n "$LAB_NET" -6 route get 2001:db8:2::1 | sed -n 's/.* src \([^ ]*\).*/\1/p')
# shown MODE NAME TYPE HOPS...: before the last one; "proxy": hidden
shown() {
    local mode=$1 proxy wanted hop
    proxy=$(address "$2.corp.example" "$3")
    shift 3
    wanted=$(for hop in "$@"; do printf '%s 0 ' "${hop/#proxy/$proxy}"; done)
    claim_eq "$mode: mtr: hops are shown, nothing lost" "${wanted% }" "$(mtr_hops "$proxy")"
}
shown NAT44 far A 192.0.2.1 198.51.100.2 proxy
shown NAT66 far AAAA 2001:db8:1::1 "$router6" proxy
shown NAT46 far6 A 192.0.2.1 proxy
shown NAT64 far4 AAAA 2001:db8:1::1 proxy

# Expected: fragments of ICMP (above).
lost=$(lab_fqdnat -j stats show | jq -r '[.[] | select(.class == "drop" and .packets > 0) | .reason] | join(" ")')
claim_eq "the gateway has dropped nothing else" "fragment_stays" "$lost"
claim_eq "nothing was malformed" 0 "$(reason malformed)"
claim_eq "no error had a wrong checksum" 0 "$(reason icmp_bad_checksum)"
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
