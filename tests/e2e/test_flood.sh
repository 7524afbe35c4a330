#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A client floods the gateway with new flows, as fast as it can (hping3). Another one, on a link of its own,
# does not notice: its session goes on, it looks up names and connects as before. The flooder gets
# its quota and ICMP errors, and no more.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

seconds=${FLOOD_SECONDS:-10}
quota=4096
LAB_SESSIONS="{max: 65536, per_client: $quota}"
LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.0/24]}
  - {name: other, prefixes: [203.0.113.0/24]}'
LAB_GRANTS='  - {client: lan, resource: intranet}
  - {client: other, resource: intranet}
  - {client: other, resource: open}'
e2e_lab

other=$LAB_PREFIX-client-b
other() { ip netns exec "$other" "$@"; }
lab_netns "$other"
lab_link "$LAB_GW" lan1 "$other" eth0
lab_address "$LAB_GW" lan1 203.0.113.1/24
lab_address "$other" eth0 203.0.113.2/24
ip -n "$other" route add default via 203.0.113.1
lab_take_redirected "$other" eth0
lab_resolv_conf "$other" 192.0.2.1
sed -i "s/^interfaces: \[/&{name: lan1, mode: $LAB_MODE}, /" "$LAB_CONFIG"
lab_daemons_start
settle web.corp.example confirmed
proxy=$(address web.corp.example)

# visit LETTER SECONDS: 16 times a second a name that is new, its address, a connection, a page.
visit() {
    local -a names
    mapfile -t names < <(seq -f "$1%g.open.example" $(($2 * 16)))
    other /usr/bin/python3 "$E2E_ROOT/tests/lib/fresh.py" --timeout 30 --family 4 --every 0.0625 \
        "${names[@]}" >"$LAB_RUN/visits-$1" || true
}
visits() { awk '{print $2}' "$LAB_RUN/visits-$1" | sort | uniq -c | xargs; }

# Milliseconds that a visit took: took LETTER PERCENT (50: the median; 100: the slowest)
took() {
    awk '{print $3 * 1000}' "$LAB_RUN/visits-$1" | sort -n |
        awk -v p="$2" '{v[NR] = $1} END {n = int(NR * p / 100 + 0.5); print int(v[n ? n : 1])}'
}

# Before: how long it takes on this machine; a session of each, whose fate is watched.
visit a 3
claim_eq "without a flood: every name is reached" "48 ok" "$(visits a)"
claim_eq "the flooder has a session" "answers 1" "$(probe udp "$proxy" 7 --from-port 999)"
lab_spawn flow "$other" /usr/bin/python3 -u "$E2E_ROOT/tests/lib/flow.py" "$proxy" --port 7 --every 0.02
claim_until 5 "the other client has one" grep -q connected "$LAB_LOG/flow.log"
lines() { grep -c '^[0-9]' "$LAB_LOG/flow.log"; }
errors() { lab_client nstat -asz --json IcmpInDestUnreachs | jq '.kernel.IcmpInDestUnreachs'; }

# SYNs and their answers between the other client and the server of the new names, counted at both ends:
# handshakes OUT IN, expressions of nft
handshakes() {
    cat <<NFT
table inet handshakes {
    counter out { }
    counter in { }
    chain output {
        type filter hook output priority 0
        $1 tcp flags & syn == syn counter name out
    }
    chain input {
        type filter hook input priority 0
        $2 tcp flags & syn == syn counter name in
    }
}
NFT
}
handshakes 'tcp dport 80' 'tcp sport 80' | other nft -f -
handshakes 'ip saddr 198.51.100.11 tcp sport 80' 'ip daddr 198.51.100.11 tcp dport 80' | lab_net nft -f -
counted() { "$1" nft -j list counter inet handshakes "$2" | jq '.nftables[] | .counter? // empty | .packets'; }
# A SYN that is sent again while the first one is held takes its place.
all_arrive() {
    [ "$(counted other out)" -eq $(($(counted lab_net in) + $(reason held_duplicate) - duplicates)) ] &&
        [ "$(counted lab_net out)" -eq "$(counted other in)" ]
}
duplicates=$(reason held_duplicate)
told=$(errors)
before=$(lines)

# The flood: a SYN for each source port, in turn.
long_enough() { [ $((EPOCHSECONDS - began)) -ge "$seconds" ]; }
began=$EPOCHSECONDS
lab_spawn hping3 "$LAB_CLIENT" hping3 --flood --quiet --syn --destport 80 "$proxy"
claim_until 5 "the flooder reaches its quota" grown quota 0
other ping -n -q -i 0.05 -c $(((seconds - 2) * 20)) "$proxy" >"$LAB_RUN/ping" &
ping=$!
visit b $((seconds - 2)) &
visit=$!
claim_eq "the other client is told what is refused to it" "icmp 3 13 $proxy" \
    "$(other /usr/bin/python3 "$E2E_ROOT/tests/lib/probe.py" tcp "$proxy" 8000 || true)"
claim_match "the flooder has as many sessions as its quota" "^$quota\$" \
    "$(lab_fqdnat -j client show | jq '.[] | select(.name == "lan") | .sessions')"
status=0
wait "$visit" || status=1
wait "$ping" || status=1
lab_until "$seconds" long_enough
kill -INT "$(lab_pid hping3)"
lab_until 5 lab_gone hping3
lasted=$((EPOCHSECONDS - began))
after=$(lines)

sent=$(sed -n 's/ packets transmitted.*//p' "$LAB_LOG/hping3.log")
rate=$((sent / lasted))
echo "# flood: $sent packets in $lasted s; quota $(reason quota), ICMP errors sent $(reason icmp_sent)," \
    "not sent for the rate limit $(reason icmp_limited)"
claim "it was a flood: $rate SYNs a second for $lasted s" test "$rate" -gt 1000

# The other client.
claim_eq "every new name was looked up and reached" "$(((seconds - 2) * 16)) ok" "$(visits b)"
claim_until 5 "none of its $(counted other out) SYNs and $(counted lab_net out) answers was lost" all_arrive
claim "half of them took $(took b 50) ms, no second; without a flood $(took a 50) ms" \
    test "$(took b 50)" -lt $((1000 + 10 * $(took a 50)))
claim "no ping was lost: $(tail -n 1 "$LAB_RUN/ping")" grep -q ' 0% packet loss' "$LAB_RUN/ping"
claim_not "its session has not ended" grep ended "$LAB_LOG/flow.log"
claim "and carried $((after - before)) lines to and fro" test $((after - before)) -gt "$seconds"
claim_eq "all of it without an error" 0 "$status"

# The flooder.
told=$(($(errors) - told))
claim "the flooder was told by ICMP ($told errors)" test "$told" -gt 10
sum() { lab_fqdnat -j stats show | jq "[.[] | select($1) | .packets] | add"; }
claim_eq "each refusal was answered, or counted as not answered" "$(sum '.class == "refuse"')" \
    "$(sum '.reason | IN("icmp_sent", "icmp_limited", "icmp_not_allowed")')"
claim_eq "the session that it had before is there" "answers 1" "$(probe udp "$proxy" 7 --from-port 999)"
claim_eq "the table was never full" 0 "$(reason table_full)"
claim_eq "ports were never short" 0 "$(reason no_port)"
claim "its sessions are flushed" lab_fqdnat session flush client 192.0.2.2
claim_eq "and it is served again" connected "$(probe tcp "$proxy" 80)"
echo "# summary: flood of $rate SYNs a second for $lasted s: another client's new names took" \
    "$(took b 50) ms (median), $(took b 100) ms (slowest); without a flood $(took a 50) and $(took a 100) ms"
