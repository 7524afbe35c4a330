# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The second act of demo.sh: edges and gateways on machines of their own, and a path between them
# that loses messages. Sourced by demo.sh, which has what tells and checks.
#
# shellcheck disable=SC2034,SC2154 # place_width and out are those of demo.sh

loss_percent=30

# What an edge has counted of a gateway's messages: messages NODE GATEWAY KEY
messages() {
    lab_fqdnat "$1" -j gateway show "$2" | jq --arg k "$3" '[.[].messages[$k] // 0] | add'
}

peer_is() {
    lab_fqdnat "$1" -j gateway show "$2" | jq -e --arg s "$3" 'length == 1 and .[0].state == $s'
}

# Whether every edge and gateway has heard of the other.
all_acquainted() {
    local edge gateway
    for edge in "${LAB_EDGES[@]}"; do
        for gateway in "${LAB_GATEWAYS[@]}"; do
            peer_is "$gateway" "$edge" up && peer_is "$edge" "$gateway" up || return
        done
    done
}

holds() {
    lab_fqdnat -j domain show "$1" | jq -e 'any(.[]; .held_packets > 0)'
}

lost_on_the_way() {
    local node
    for node in edge-a gw-a gw-b; do
        say "messages to $node: $(lab_control "$node" arrived), lost $(lab_control "$node" lost)"
    done
}

split_meet() {
    chapter "An edge, two gateways, and $loss_percent % of what they say gets lost"
    say "client 192.0.2.2 -- edge-a 192.0.2.1 | 10.9.0.11 -- the path" \
        "  -- gw-a 10.9.0.1 | 198.51.100.1 -- servers 198.51.100.10, .11" \
        "  -- gw-b 10.9.0.2 | 198.51.100.3 -- the same servers" \
        "Every pair has a key; the edge asks now and then whether its gateways are there."
    lab_until 120 all_acquainted || true
    at edge fqdnat gateway show
    claim "both gateways are up" lines ' up ' 2
    at gw-a fqdnat gateway show
    claim "the gateway has heard of both edges" lines ' up ' 2
}

split_hold() {
    local address
    chapter "The first packets wait for the gateway's answer"
    say "For a moment nothing gets through at all:"
    lab_loss 100
    at client dig +short web.corp.example A
    claim "proxy addresses come at once" lines '^100\.' 4
    address=${out%%$'\n'*}
    say "An application connects to $address; the edge has asked gw-a and keeps the packet:"
    lab_spawn curl "$LAB_CLIENT" curl -sS -m 60 http://web.corp.example/ \
        --resolve "web.corp.example:80:${out//$'\n'/,}"
    lab_until 5 holds web.corp.example || true
    at edge fqdnat domain show web.corp.example
    claim "pending, and held" holds web.corp.example
    say "Now every third message or so is lost again. As long as it holds the packet, the edge asks" \
        "every two seconds:"
    lab_loss "$loss_percent"
    lab_until 60 grep -qs hello "$LAB_LOG/curl.log" || true
    say "$(cat "$LAB_LOG/curl.log")"
    claim "connected, without asking DNS again" grep -q 'to 198\.51\.100\.[13]$' "$LAB_LOG/curl.log"
    at edge "fqdnat -j domain show web.corp.example | jq -c '.[] | {state, gateway, resends}'"
    claim "confirmed" worked_with confirmed
}

split_use() {
    chapter "Names that were never asked for before, connected to at once"
    # shellcheck disable=SC2016 # expanded by the client's shell
    at client 'for name in four files multi alias; do
            curl -sS4 -m 40 -o /dev/null -w "$name: %{http_code} after %{time_starttransfer} s\n" \
                http://$name.corp.example/; done'
    claim "all of them answer" lines ': 200 after ' 4
    at client curl -sS6 -m 40 http://six.corp.example/
    claim "IPv6, although the control messages are IPv4" worked_with 'to 2001:db8:2::[13]$'
    at edge "fqdnat -j gateway show gw-a | jq -c '.[].messages | with_entries(select(.value > 0))'"
    lost_on_the_way
    claim "some of it was lost" test "$(($(lab_control gw-a lost) + $(lab_control edge-a lost)))" -gt 0
}

split_fail() {
    local address before
    chapter "A name that does not exist is asked about until the gateway has said so, not longer"
    at client curl -sS4 -m 60 http://nx.corp.example/
    claim "refused, not left hanging" refused
    lab_until 5 domain_state nx.corp.example failed || true
    at edge fqdnat domain show nx.corp.example
    claim "failed, by the gateway's word" domain_state nx.corp.example failed
    address=$(lab_fqdnat -j domain show nx.corp.example | jq -r '.[0].proxy_addresses[0]')
    before=$(messages edge-a gw-a sent_assigned_ips)
    say "Packets to it are refused by the edge; nobody is asked again:"
    at client ping -n -c 3 -i 1.2 -W 1 "$address"
    claim "refused" failed
    say "questions to gw-a: $before before, $(messages edge-a gw-a sent_assigned_ips) after"
    claim "no message more" test "$(messages edge-a gw-a sent_assigned_ips)" = "$before"
}

split_take_over() {
    chapter "A gateway dies; the other one takes over"
    # Where ten questions in a row were lost, it has seemed silent for a moment.
    lab_until 30 by_way_of_gw_a || true
    at client curl -sS4 -m 40 http://web.corp.example/
    claim "by way of gw-a: that is its address" worked_with 'to 198\.51\.100\.1$'
    say "gw-a is killed and cut off. The edge notices when nothing was heard for 15 s, and its" \
        "questions were not answered:"
    lab_daemon_kill gw-a
    lab_unplug gw-a
    lab_until 60 peer_is edge-a gw-a silent || true
    at edge fqdnat gateway show
    claim "gw-a is silent" peer_is edge-a gw-a silent
    at client curl -sS4 -m 40 http://web.corp.example/
    claim "by way of gw-b, at the same proxy address" worked_with 'to 198\.51\.100\.3$'
    say "It comes back. The edge looks for it every 10 s, if that is not lost; names that" \
        "are asked for return to it."
    lab_replug gw-a
    lab_daemon_start gw-a -v
    lab_until 240 peer_is edge-a gw-a up || true
    claim "gw-a is up" peer_is edge-a gw-a up
    lab_until 30 by_way_of_gw_a || true
    at client curl -sS4 -m 40 http://web.corp.example/
    claim "by way of gw-a again" worked_with 'to 198\.51\.100\.1$'
}

by_way_of_gw_a() {
    lab_client curl -sS4 -m 40 http://web.corp.example/ | grep -q 'to 198\.51\.100\.1$'
}

split_scopes() {
    local address
    chapter "Another edge, the same proxy address, another name"
    at client dig +short web.corp.example A
    address=$(head -n 1 <<<"$out")
    at client-b dig +short files.corp.example A
    claim "both have $address" has "^$address\$"
    at client curl -sS -m 40 "http://$address/"
    claim "web, for the client of edge-a" worked_with 'from 198\.51\.100\.10 '
    at client-b curl -sS -m 40 "http://$address/"
    claim "files, for the client of edge-b" worked_with 'from 198\.51\.100\.11 '
    at gw-a fqdnat gateway show
    claim "two edges, each with sessions of its own" lines '^edge-[ab] ' 2
}

forwards_only() { worked_with '^forwarded ' && ! has '^translated '; }

split_look() {
    chapter "What was counted"
    lost_on_the_way
    at edge "fqdnat -j stats show |
            jq -r '.[] | select(.packets > 0) | [.reason, .packets, .text] | @tsv' | expand -t 20,28"
    claim "the edge forwards, and translates nothing" forwards_only
    at gw-a fqdnat prog show
    claim "the gateway translates by XDP" worked_with wan0
}

split_start() {
    lab_up
    lab_loss "$loss_percent"
    lab_daemons_start -v
}

split_story() {
    place_width=9
    printf '%sfqdnat: edges and gateways apart%s\n' "$bold" "$plain"
    split_meet
    split_hold
    split_use
    split_fail
    split_take_over
    split_scopes
    split_look
    printf '\n%sAll of it worked.%s Look around yourself: scripts/demo.sh split up\n' "$green" "$plain"
}

split_look_around() {
    cat <<TEXT
The lab is up: two clients, two edges, two gateways; $loss_percent % of the control messages are lost.
    client-a 192.0.2.2   -- edge-a 10.9.0.11 --+-- gw-a 10.9.0.1 | 198.51.100.1 --+-- servers
    client-b 203.0.113.2 -- edge-b 10.9.0.12 --+-- gw-b 10.9.0.2 | 198.51.100.3 --+   198.51.100.10, .11

As a client (names: web four six multi files alias empty nx silent .corp.example):
  ip netns exec $LAB_PREFIX-client-a curl http://web.corp.example/

On a machine with fqdnatd (edge-a, edge-b, gw-a, gw-b):
  on() { nsenter --net=/run/netns/$LAB_PREFIX-\$1 $LAB_BUILD/fqdnat -s $LAB_RUN/\$1.sock -b $LAB_RUN/bpf/\$1 "\${@:2}"; }
  on edge-a gateway show; on gw-a gateway show; on edge-a domain show; on gw-a session show

Configuration  $LAB_RUN/NODE.yaml
Logs           $LAB_LOG/fqdnatd-NODE.log
Remove         scripts/demo.sh down
TEXT
}
