#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# No packet without a reason: after traffic of many kinds, honest and broken, the sum of all fates is what
# the interfaces have counted, and what the daemon has put through the program again. See "Do the
# counters add up?" in docs/operations.md.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

# A program's runs are counted by the kernel only if it is attached alone.
export FQDNAT_DISPATCHER=never
LAB_TRANSLATE=any
LAB_TIMEOUTS='{udp_s: 6, unconfirmed_s: 4, tombstone_s: 60}'
LAB_SESSIONS='{max: 65536, per_client: 2000}'
LAB_RESOLVER_TIMEOUT=$E2E_HELD_S
e2e_up

# --- the equation ------------------------------------------------------------------------

# What the driver has given to the programs.
frames() {
    local dev
    for dev in lan0 wan0; do
        lab_gw ethtool -S "$dev"
    done | awk '/rx_queue_[0-9]+_xdp_packets:/ {n += $2} END {print n}'
}

# How often the kernel has run them, while somebody asks for it. One program may be on both.
runs() { lab_fqdnat -j prog show | jq '[group_by(.id)[] | .[0].run_cnt] | add'; }

fates() { lab_fqdnat -j stats show | jq '[.[] | select(.class != "event") | .packets] | add'; }

# Both sides at a moment at which nothing is on its way: "FATES FRAMES RUNS INJECTED"
count() {
    local before after=none line
    for _ in {1..100}; do
        before="$(frames) $(runs)"
        line="$(fates) $before $(reason injected)"
        after="$(frames) $(runs)"
        [ "$before" != "$after" ] || break
        sleep 0.1
    done
    echo "$line"
}

# adds_up TEXT: since the last time.
adds_up() {
    local now text=$1
    local -a a b
    now=$(count)
    read -ra a <<<"$counted"
    read -ra b <<<"$now"
    claim_eq "$text: $((b[0] - a[0])) fates = $((b[1] - a[1])) frames + $((b[3] - a[3])) put back" \
        $((b[1] - a[1] + b[3] - a[3])) $((b[0] - a[0]))
    counted=$now
}

# ran TEXT: whether the programs have run as often as the driver says, since the stats are on.
ran() {
    local -a now
    read -ra now <<<"$(count)"
    claim_eq "$1: the kernel has run the programs $((now[2] - begun[2])) times, once for each frame" \
        $((now[1] - begun[1])) $((now[2] - begun[2]))
}

pieces=$E2E_ROOT/tests/lib/fragments.py
counted="0 0 0 0"
adds_up "from the start"

# Runs are counted as long as this lasts.
counts_start() {
    lab_spawn profile "$LAB_GW" "$LAB_BUILD/fqdnat" -b "$LAB_BPFFS" prog profile 600
    lab_until 10 counting
    read -ra begun <<<"$(count)"
}
counting() {
    local before
    before=$(runs)
    lab_client ping -n -c 1 -W 1 192.0.2.1
    [ "$(runs)" -gt "$before" ]
}
counts_start

# --- traffic -----------------------------------------------------------------------------

settle web.corp.example confirmed
settle files.corp.example confirmed
settle four.corp.example confirmed
settle six.corp.example confirmed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)
bulk=$(address files.corp.example)
four6=$(address four.corp.example AAAA)
six4=$(address six.corp.example A)

for family in 4 6; do
    who "$family" web.corp.example >/dev/null
done
for proxy in "$v4" "$v6"; do
    probe udp "$proxy" 7 --count 20 >/dev/null
    lab_client ping -n -q -c 5 -i 0.05 "$proxy" >/dev/null
done
adds_up "TCP, UDP, ping"

for proxy in "$four6" "$six4"; do
    lab_client curl -sS -m 5 "http://${proxy/*:*/[$proxy]}/bytes/100000" >/dev/null
    probe udp "$proxy" 7 --count 5 >/dev/null
    lab_client ping -n -q -c 3 -i 0.05 "$proxy" >/dev/null
done
adds_up "from IPv6 to IPv4, and the reverse"

# Tools that others wrote, in every mode of translation: fragments, errors about every hop, refusals of
# ports that the filter denies.
tools() {
    local proxy
    for proxy in "$v4" "$v6" "$four6" "$six4"; do
        lab_client traceroute -I -n -q 1 -w 1 -m 3 "$proxy"
        lab_client traceroute -U -p 7 -n -q 1 -w 1 -m 3 "$proxy"
        lab_client traceroute -T -p 80 -n -q 1 -w 1 -m 3 "$proxy"
        lab_client timeout 5 tracepath -n -m 3 "$proxy"
        lab_client mtr --report -n -c 2 -i 0.2 "$proxy"
        lab_client ping -n -q -c 2 -i 0.1 -W 1 -s 3000 "$proxy"
        lab_client "$pieces" echo "$proxy" --order shuffle
        lab_client curl -sS -m 5 "http://${proxy/*:*/[$proxy]}/bytes/100000"
    done >/dev/null 2>&1 || true
}
tools
adds_up "traceroute, tracepath, mtr, ping, curl in all four modes"

iperf -c "$bulk" -t 1 -P 2 --bidir >/dev/null
adds_up "bulk TCP"

# Refused, each for its reason; a stranger; the gateway's own addresses.
lab_address "$LAB_CLIENT" eth0 198.18.0.9/24
for words in "tcp $v4 8000" "udp $v6 9007" "udp 100.111.1.1 7" "udp $v4 7 --from 198.18.0.9"; do
    # shellcheck disable=SC2086 # words
    probe $words >/dev/null
done
lab_client ping -n -c 2 -i 0.1 -t 1 -W 1 "$v4" >/dev/null || true
lab_client ping -n -q -f -c 300 -W 1 100.111.1.2 >/dev/null || true
lab_client ping -n -q -c 3 -i 0.1 2001:db8:1::1 >/dev/null
lab_client curl -s -m 2 http://192.0.2.1/ >/dev/null || true
adds_up "refusals, and the gateway's own traffic"

# Held: until the answer is yes, and until it is no.
lab_mute slow
lab_zone set slow 60 A 198.51.100.11
slow=$(address slow.corp.example)
injected=$(reason injected)
probe udp "$slow" 7 --count 3 --timeout "$E2E_HELD_S" >"$LAB_RUN/slow" &
slow=$!
held() { [ "$(lab_fqdnat -j domain show slow.corp.example | jq '[.[].held_packets] | add')" -eq 3 ]; }
claim_until 5 "packets are held" held
lab_unmute slow
wait "$slow"
lab_client curl -sS -m 8 http://nx.corp.example/ >/dev/null 2>&1 || true
lab_client curl -sS -m 8 http://silent.corp.example/ >/dev/null 2>&1 || true
claim_eq "put back, and answered" "answers 1 2 3" "$(cat "$LAB_RUN/slow")"
claim "and counted" grown injected $((injected + 2))
adds_up "packets that were held"

for proxy in "$v4" "$v6"; do
    for order in forward reverse shuffle; do
        lab_client "$pieces" echo "$proxy" --order "$order" || true
    done
    lab_client ping -n -q -c 3 -i 0.1 -s 4000 "$proxy" >/dev/null
done
lab_gw "$pieces" echo 198.51.100.10 --order reverse
adds_up "fragments"

# Too big for the next link: told to the sender, or made into fragments.
ip -n "$LAB_GW" link set wan0 mtu 1400
for proxy in "$v4" "$v6"; do
    lab_client ping -n -q -c 2 -i 0.1 -W 1 -M 'do' -s 1440 "$proxy" >/dev/null || true
    lab_client ping -n -q -c 2 -i 0.1 -W 1 -M dont -s 1440 "$proxy" >/dev/null || true
done
ip -n "$LAB_GW" link set wan0 mtu 1500
claim "some were too big" grown too_big 0
adds_up "packets that are too big"

# ARP and neighbour discovery.
ip -n "$LAB_GW" neigh flush all
ip -n "$LAB_CLIENT" neigh flush all
ip -n "$LAB_NET" neigh flush all
lab_client ping -n -q -c 2 -i 0.1 "$v4" >/dev/null
lab_client ping -n -q -c 2 -i 0.1 "$v6" >/dev/null
adds_up "ARP and neighbour discovery"

# Broken packets, from both sides; and late or unasked ones from outside.
mac() { ip -n "$LAB_GW" -j link show dev "$1" | jq -r '.[0].address'; }
odd=$E2E_ROOT/tests/lib/oddities.py
lab_client "$odd" eth0 "$(mac lan0)" 192.0.2.2 2001:db8:1::2 "$v4" "$v6" --mutants 3000 --seed 1 >/dev/null
adds_up "broken packets to proxy addresses"
lab_client "$odd" eth0 "$(mac lan0)" 192.0.2.2 2001:db8:1::2 192.0.2.1 2001:db8:1::1 --mutants 1000 --seed 2 >/dev/null
adds_up "broken packets to the gateway"
lab_net "$odd" eth0 "$(mac wan0)" 198.51.100.10 2001:db8:2::10 198.51.100.1 2001:db8:2::1 --mutants 3000 --seed 3 >/dev/null
adds_up "broken packets from outside"

# A client over its quota.
lab_client timeout -s INT 3 hping3 --faster --quiet --syn --destport 80 --count 20000 "$v4" >/dev/null 2>&1 || true
adds_up "20,000 SYNs of a client over its quota"

udp_ended() { lab_fqdnat -j session show | jq -e 'all(.[]; .protocol != "udp")'; }
claim_until 20 "UDP sessions end" udp_ended
lab_fqdnat session flush client 192.0.2.2 >/dev/null
adds_up "after sessions have ended"
ran "all of it"

# Without a daemon, and while one that starts puts its programs in the place of the old ones.
lab_client ping -n -q -i 0.02 -c 300 "$v4" >"$LAB_RUN/ping" &
ping=$!
lab_daemon_stop
lab_daemon_start
wait "$ping"
claim "the daemon was restarted under traffic" grep -q ' 0% packet loss' "$LAB_RUN/ping"
adds_up "across a restart"

seen=$(lab_fqdnat -j stats show | jq -r '[.[] | select(.class != "event" and .packets > 0) | .reason] | join(" ")')
echo "# seen: $seen"
claim "it was of many kinds: $(wc -w <<<"$seen") reasons" test "$(wc -w <<<"$seen")" -ge 20
read -ra now <<<"$counted"
echo "# summary: ${now[0]} packets, $(wc -w <<<"$seen") reasons; the interfaces counted ${now[1]}, ${now[3]} were put back"

# The other hooks: what the kernel gives to programs there is told by their runs only.
other_mode() {
    local -a now
    lab_stop profile
    lab_daemon_stop
    for dev in lan0 wan0; do
        lab_fqdnat prog detach dev "$dev" >/dev/null
    done
    LAB_MODE=$1
    lab_config
    lab_daemon_start
    counts_start
    settle web.corp.example confirmed
    settle four.corp.example confirmed
    settle six.corp.example confirmed
    v4=$(address web.corp.example)
    probe udp "$v4" 7 --count 20 >/dev/null
    probe udp "$v4" 9007 >/dev/null
    tools
    lab_client curl -s -m 2 "http://$v4/bytes/1000000" >/dev/null || true
    lab_client "$pieces" echo "$v4" --order reverse || true
    lab_client "$odd" eth0 "$(mac lan0)" 192.0.2.2 2001:db8:1::2 "$v4" "$v6" --mutants 500 --seed 4 >/dev/null
    read -ra now <<<"$(count)"
    claim_eq "mode $1: $((now[0] - begun[0])) fates = $((now[2] - begun[2])) runs + $((now[3] - begun[3])) put back" \
        $((now[2] - begun[2] + now[3] - begun[3])) $((now[0] - begun[0]))
}
other_mode tc
other_mode generic
