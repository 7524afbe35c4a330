#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Interfaces without an Ethernet header: clients behind a WireGuard tunnel (Debian's wireguard-go), and
# resources behind another one, in any mix with Ethernet.
#
#     client  cw 10.77.0.2  ── tunnel over lan0 ──  gw  gw 10.77.0.1
#             fd77::2                                   fd77::1
#     net     nw 10.78.0.2  ── tunnel over wan0 ──  gw  ow 10.78.0.1
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# wireguard-go's sockets know no namespaces: names are unique.
cw=cw$$ gw=gw$$ ow=ow$$ nw=nw$$
LAB_MODE=auto
LAB_TRANSLATE=any
LAB_RESOLVER_TIMEOUT=$E2E_HELD_S
# tracepath counts ports up from 44444.
LAB_FILTERS='[{tcp: 80}, {tcp: 7}, {udp: 7}, {tcp: 5201}, {udp: 5201}, {udp: 44444-44460}, icmp]'
LAB_INTERFACES="lan0 wan0 $gw $ow"
LAB_LISTEN='["192.0.2.1", "2001:db8:1::1", "10.77.0.1", "fd77::1"]'
LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.0/24, "2001:db8:1::/64", 10.77.0.0/24, "fd77::/64"]}'
e2e_lab

for name in "$cw" "$gw" "$ow" "$nw"; do
    (umask 077 && wg genkey >"$LAB_RUN/$name.key")
done
key() { wg pubkey <"$LAB_RUN/$1.key"; }

# One end: wireguard PLACE NAME PORT PEER ENDPOINT ALLOWED ADDRESS...
wireguard() {
    local place=$1 netns name=$2
    netns=$LAB_PREFIX-$place
    lab_spawn "$name" "$netns" env LOG_LEVEL=error wireguard-go -f "$name"
    lab_until 5 ip -n "$netns" link show "$name"
    ip netns exec "$netns" wg set "$name" listen-port "$3" private-key "$LAB_RUN/$name.key" \
        peer "$(key "$4")" allowed-ips "$6" endpoint "$5"
    lab_address "$netns" "$name" "${@:7}"
    ip -n "$netns" link set "$name" up
}

inner_gw() { wireguard gw "$gw" 51820 "$cw" 192.0.2.2:51820 10.77.0.2/32,fd77::2/128 10.77.0.1/24 fd77::1/64; }
wireguard client "$cw" 51820 "$gw" 192.0.2.1:51820 0.0.0.0/0,::/0 10.77.0.2/24 fd77::2/64
inner_gw
wireguard net "$nw" 51821 "$ow" 198.51.100.1:51821 10.78.0.1/32,fd78::1/128 10.78.0.2/24 fd78::2/64
wireguard gw "$ow" 51821 "$nw" 198.51.100.2:51821 0.0.0.0/0,::/0 10.78.0.1/24 fd78::1/64
lab_resolv_conf "$LAB_CLIENT" 10.77.0.1
lab_daemon_start

modes() { lab_fqdnat -j prog show | jq -c '[.[] | .mode] | unique'; }
why() { lab_fqdnat -j prog show | jq -r --arg d "$1" '.[] | select(.dev == $d) | .why'; }
claim_eq "tc everywhere" '["tc"]' "$(modes)"
claim_eq "on the tunnel because it has no header" "no Ethernet header" "$(why "$gw")"

runs() { [ "$(why "$gw")" = "no Ethernet header" ]; }
gone() { [ -z "$(why "$gw")" ]; }

# The client's way to the pools: tunnel, or Ethernet.
pools_by_tunnel() {
    ip -n "$LAB_CLIENT" route replace "$LAB_POOL4" dev "$cw"
    ip -n "$LAB_CLIENT" -6 route replace "$LAB_POOL6" dev "$cw"
}
pools_by_ethernet() {
    ip -n "$LAB_CLIENT" route replace "$LAB_POOL4" via 192.0.2.1
    ip -n "$LAB_CLIENT" -6 route replace "$LAB_POOL6" via 2001:db8:1::1
}

# Traffic of every kind, from here to there: mix TEXT NAT4 NAT6
mix() {
    claim_match "$1: HTTP over IPv4" "^198\.51\.100\.11 $2 " "$(who 4 files.corp.example)"
    claim_match "$1: HTTP over IPv6" "^2001:db8:2::11 $3 " "$(who 6 files.corp.example)"
    claim_eq "$1: 5 MB arrive whole" 5000000 \
        "$(lab_client curl -sS4 -m 60 http://files.corp.example/bytes/5000000 | wc -c)"
    claim_eq "$1: UDP over IPv4" "answers 1 2 3" "$(probe udp "$v4" 7 --count 3)"
    claim_eq "$1: UDP over IPv6" "answers 1 2 3" "$(probe udp "$v6" 7 --count 3)"
    claim "$1: ping over IPv4" lab_client ping -n -c 3 -i 0.1 -W 2 "$v4"
    claim "$1: ping over IPv6" lab_client ping -n -c 3 -i 0.1 -W 2 "$v6"
    claim_eq "$1: a refusal over IPv4" "icmp 3 13 $v4" "$(probe tcp "$v4" 8000)"
    claim_eq "$1: a refusal over IPv6" "icmp 1 1 $v6" "$(probe udp "$v6" 9007)"
}

pools_by_tunnel
settle files.corp.example confirmed
v4=$(address files.corp.example)
v6=$(address files.corp.example AAAA)
claim_match "DNS is answered through the tunnel" '^100\.96\.' "$v4"

mix "tunnel to Ethernet" 198.51.100.1 2001:db8:2::1
transfer() {
    iperf -J -t 1 "$@" >"$LAB_RUN/iperf.json" || true
    claim "tunnel to Ethernet: iperf3 $*" jq -e '.error == null and .end.sum.lost_percent // 0 < 100' \
        "$LAB_RUN/iperf.json"
}
for proxy in "$v4" "$v6"; do
    for direction in '' -R; do
        transfer -c "$proxy" $direction
        transfer -c "$proxy" -u -b 10M -l 1200 $direction
    done
done
ip -n "$LAB_GW" neigh flush dev wan0
claim_eq "tunnel to Ethernet: an unknown neighbour" "answers 1 2 3" "$(probe udp "$v4" 7 --count 3)"

# Tools that others wrote, in every mode of translation. In front of them is a tunnel of 1420 bytes, so
# that all but fragments fit behind it.
lab_zone set only4 60 A 198.51.100.11
lab_zone set only6 60 AAAA 2001:db8:2::11
settle only4.corp.example confirmed
settle only6.corp.example confirmed
# Ports by their state, of those that are listed: scan MODE PORTS PROXY
scan() {
    local six=''
    [[ $3 != *:* ]] || six=-6
    # shellcheck disable=SC2086 # nothing, or -6
    lab_client nmap $six -Pn -n -T4 --max-retries 2 --host-timeout 40s "$1" -p "$2" -oG - "$3" |
        grep -oE '[0-9]+/(open|closed|filtered)' | paste -sd' '
}
tools() {
    local mode=$1 proxy=$2 way
    for way in -I "-U -p 7" "-T -p 80"; do
        # shellcheck disable=SC2086 # words
        claim_eq "$mode: traceroute $way: two hops, hidden" "$proxy $proxy" "$(hops $way "$proxy")"
    done
    claim_eq "$mode: mtr: nothing lost" "$proxy 0" \
        "$(lab_client mtr --report --json -n -c 3 -i 0.2 "$proxy" |
            jq -r '[.report.hubs[] | "\(.host) \(."Loss%" | floor)"] | join(" ")')"
    claim_match "$mode: tracepath: the tunnel's MTU" '^pmtu 1420 hops 2' \
        "$(lab_client tracepath -n -m 8 "$proxy" | sed -n 's/.*Resume: //p')"
    claim_eq "$mode: nmap -sS" "7/open 80/open 81/filtered" "$(scan -sS 7,80,81 "$proxy")"
    claim_eq "$mode: nmap -sU" "7/open 8/filtered" "$(scan -sU 7,8 "$proxy")"
}
tools NAT44 "$v4"
tools NAT66 "$v6"
tools NAT46 "$(address only6.corp.example)"
tools NAT64 "$(address only4.corp.example AAAA)"
for proxy in "$v4" "$v6"; do
    claim "ping -s 3000 through the tunnel: $proxy" lab_client ping -n -c 3 -i 0.1 -W 2 -s 3000 "$proxy"
done
for proxy in "$(address only6.corp.example)" "$(address only4.corp.example AAAA)"; do
    for direction in '' -R; do
        transfer -c "$proxy" $direction
        transfer -c "$proxy" -u -b 5M -l 1200 $direction
    done
done

# Held packets of a tunnel are put back, and leave by Ethernet and by a tunnel.
held_then_released() {
    local name=$1 proxy waiting
    lab_mute "$name"
    lab_zone set "$name" 60 A 198.51.100.11
    proxy=$(address "$name.corp.example")
    probe udp "$proxy" 7 --count 2 --timeout "$E2E_HELD_S" >"$LAB_RUN/held.out" &
    waiting=$!
    lab_until 10 held "$name" || true
    lab_unmute "$name"
    wait "$waiting"
    cat "$LAB_RUN/held.out"
}
held() { [ "$(lab_fqdnat -j domain show "$1.corp.example" | jq '[.[].held_packets] | add')" -eq 2 ]; }
claim_eq "tunnel to Ethernet: held packets are released" "answers 1 2" "$(held_then_released slow)"
claim "they were held" grown held 1

ip -n "$LAB_GW" route add 198.51.100.11 dev "$ow"
ip -n "$LAB_GW" -6 route add 2001:db8:2::11 dev "$ow"
lab_fqdnat session flush >/dev/null
mix "tunnel to tunnel" 10.78.0.1 fd78::1
claim_eq "tunnel to tunnel: held packets are released" "answers 1 2" "$(held_then_released slower)"

# One in 65,536 looks as if its checksum were partial, and goes the slow way: of some 5000, hardly any.
fast=$(reason translated) slow=$(reason translated_slow)
straight() { [ $((($(reason translated_slow) - slow) * 1000)) -lt $(($(reason translated) - fast)) ]; }
pools_by_ethernet
mix "Ethernet to tunnel" 10.78.0.1 fd78::1
claim "none but held packets take the slow way" straight

# The tunnel's process dies and another one makes the interface anew.
pools_by_tunnel
lab_stop "$gw"
claim_until 5 "without the interface nothing runs there" gone
inner_gw
claim_until 5 "on the new one tc runs again" runs
# The other end does not know yet that its keys are no good: this one begins.
claim_until 10 "the tunnel is there again" lab_gw ping -n -c 1 -W 1 10.77.0.2
claim_until 10 "and translates" lab_client ping -n -c 1 -W 1 "$v4"
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
