#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A hostile neighbour on the path, who sees every message, and sends what it likes from any address: it
# changes nothing, for nobody, and each of its messages is counted by kind. It has no key; what it has
# recorded it can only send again.
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

flood=${FLOOD:-50000} # messages of each of two kinds

control() { /usr/bin/python3 "$E2E_ROOT/tests/lib/control.py" "$@"; }
make() { control make "$@"; }
# Datagrams (lines of hex digits) from a source that need not be ours: attack SOURCE DESTINATION OPTIONS...
attack() { lab_net /usr/bin/python3 "$E2E_ROOT/tests/lib/control.py" send "$@"; }

e2e_lab
lab_spawn watch "$LAB_NET" /usr/bin/python3 "$E2E_ROOT/tests/lib/control.py" watch edge-a
claim_until 5 "the neighbour watches edge-a's messages" grep -q ready "$LAB_LOG/watch.log"
lab_daemons_start -v
split_meet
claim "web is confirmed" settle web.corp.example confirmed
claim "for the other edge, too" side b settle web.corp.example confirmed
claim "nx has failed" settle nx.corp.example failed
proxy=$(address web.corp.example)
flow running "$proxy"
claim_until 5 "a connection runs" flow_beyond running 3
quiet() { lab_fqdnat -j domain show | jq -e 'all(.[]; .state | . == "confirmed" or . == "failed")'; }
claim_until 8 "nothing is under way" quiet

edge=10.9.0.11
edge_port=$(peer_value gw-a edge-a port)
gateway=10.9.0.1
neighbour=10.9.0.53

# Recorded datagrams: recorded FROM TO
recorded() {
    jq -r --arg f "$1" --arg t "$2" 'select(.source == $f and .destination == $t) | .hex' "$LAB_LOG/watch.log"
}
recorded "$edge" "$gateway" >"$LAB_RUN/asked"
recorded "$gateway" "$edge" >"$LAB_RUN/answered"
asked=$(wc -l <"$LAB_RUN/asked") answered=$(wc -l <"$LAB_RUN/answered")
claim "messages both ways were recorded" test "$asked" -ge 4 -a "$answered" -ge 4

# Everything that an attack could change, on both sides.
snapshot() {
    lab_fqdnat -j domain show | jq -cS 'map({domain, gateway, state, proxy_addresses}) | sort'
    lab_fqdnat gw-a -j proxy show | jq -cS 'map({address, domain, client, real_address}) | sort'
    peer_value gw-a edge-a port
    peer_value edge-a gw-a state
}
before=$(snapshot)
unharmed() {
    claim_eq "$1: nothing has changed" "$before" "$(snapshot)"
    claim "the connection goes on" flow_goes_on running
}

# A message is counted, and the counter has grown by that many: counted NODE PEER KIND BEFORE MORE
counted() { [ $(($4 + $5)) -eq "$(messages "$1" "$2" "$3")" ]; }
more() { [ $(($2 + $3)) -eq "$(at "$1" reason "$4")" ]; }

# What the neighbour wants: web's proxy addresses for a name of its own, and away with everything.
assigned=(assigned_ips --generation 4000000000 --domain files.corp.example)
for address in $(lab_fqdnat -j domain show web.corp.example | jq -r '.[0].proxy_addresses[]'); do
    assigned+=(--proxy "$address")
done
status=(domain_status --generation 0 --status Inactive)
active=(domain_status --generation 0 --domain nx.corp.example)
wrong=$LAB_RUN/wrong.key
head -c 32 /dev/urandom | base64 >"$wrong"

# --- from an address that is nobody's ----------------------------------------------------

to_gateway() {
    make "${assigned[@]}"
    make goodbye
    make probe
    make "${assigned[@]}" --key "$wrong"
    make goodbye --key "$wrong"
}
to_edge() {
    make "${status[@]}"
    make "${active[@]}"
    make goodbye
    make "${status[@]}" --key "$wrong" --role gateway
    make goodbye --key "$wrong" --role gateway
}
count=$(at gw-a reason control_unknown_source)
to_gateway | attack "$neighbour:4700" "$gateway" >/dev/null
claim_until 5 "messages from a strange address are counted" more gw-a "$count" 5 control_unknown_source
to_edge | attack "$neighbour:4700" "$edge:$edge_port" >/dev/null
unharmed "from a strange address"

# --- from the right address --------------------------------------------------------------

count=$(messages gw-a edge-a forged)
to_gateway | attack "$edge:$edge_port" "$gateway" >/dev/null
claim_until 5 "forged AssignedIps and Goodbyes are counted" counted gw-a edge-a forged "$count" 5
count=$(messages edge-a gw-a forged)
to_edge | attack "$gateway:4700" "$edge:$edge_port" >/dev/null
claim_until 5 "forged statuses and Goodbyes are counted" counted edge-a gw-a forged "$count" 5
count=$(messages gw-a edge-a forged)
{
    make "${assigned[@]}" --key "$LAB_RUN/keys/edge-b.gw-a"
    make "${assigned[@]}" --key "$LAB_RUN/keys/edge-a.gw-b"
    make goodbye --key "$LAB_RUN/keys/edge-a.gw-a" --role gateway
} | attack "$edge:$edge_port" "$gateway" >/dev/null
claim_until 5 "keys of other pairs and of the other direction do not help" counted gw-a edge-a forged "$count" 3
claim_until 5 "stats show them, too" at gw-a grown control_forged 7
unharmed "from the right address, without the key"

# --- recorded messages -------------------------------------------------------------------

# The first Probes of an edge know no receiver yet: they are replays all the same.
count=$(messages gw-a edge-a replayed)
attack "$edge:$edge_port" "$gateway" <"$LAB_RUN/asked" >/dev/null
claim_until 5 "replays to the gateway are counted, all $asked" counted gw-a edge-a replayed "$count" "$asked"
attack "$edge:4711" "$gateway" <"$LAB_RUN/asked" >/dev/null
claim_until 5 "from another port, too" counted gw-a edge-a replayed "$count" $((2 * asked))
count=$(messages edge-a gw-a replayed)
attack "$gateway:4700" "$edge:$edge_port" <"$LAB_RUN/answered" >/dev/null
claim_until 5 "replays to the edge are counted, all $answered" counted edge-a gw-a replayed "$count" "$answered"
count=$(at gw-a reason control_forged) other=$(messages gw-a edge-a misdirected)
attack "$edge:$edge_port" "$gateway" <"$LAB_RUN/answered" >/dev/null
reflected() {
    [ $(($(at gw-a reason control_forged) - count + $(messages gw-a edge-a misdirected) - other)) -eq "$answered" ]
}
claim_until 5 "the gateway's own messages, sent back to it, are counted" reflected
unharmed "replays"

# --- damaged messages --------------------------------------------------------------------

message=$(grep -m 1 ^00 "$LAB_RUN/asked")
count=$(messages gw-a edge-a undersized)
for length in 1 7 8 47; do
    echo "${message:0:2*length}"
done | attack "$edge:$edge_port" "$gateway" >/dev/null
claim_until 5 "truncated messages are counted" counted gw-a edge-a undersized "$count" 4
count=$(messages gw-a edge-a oversized)
printf '%s%0*d\n' "$message" $((2 * 1400 - ${#message})) 0 | attack "$edge:$edge_port" "$gateway" >/dev/null
claim_until 5 "one that is too long is counted" counted gw-a edge-a oversized "$count" 1
count=$(messages gw-a edge-a unknown_event)
printf '%s\n' "ff${message:2}" | attack "$edge:$edge_port" "$gateway" >/dev/null
claim_until 5 "one of an unknown kind is counted" counted gw-a edge-a unknown_event "$count" 1
count=$(messages gw-a edge-a forged)
{
    echo "${message:0:8}00000001${message:16}"
    echo "${message:0:200}00${message:202}"
    echo "${message%??}00"
    echo "${message:0:2*60}"
} | attack "$edge:$edge_port" "$gateway" >/dev/null
claim_until 5 "changed and shortened ones are counted" counted gw-a edge-a forged "$count" 4
unharmed "damaged messages"

# --- after a restart ---------------------------------------------------------------------

lab_daemon_kill gw-a
lab_daemon_start gw-a -v
known() { [ "$(messages gw-a edge-a received_probe)" -gt 0 ]; }
claim_until 25 "the gateway is started again and knows the edge" known
attack "$edge:$edge_port" "$gateway" <"$LAB_RUN/asked" >/dev/null
old() { [ "$(at gw-a reason control_stale_epoch)" -gt 0 ] && none_taken; }
none_taken() { [ $(($(at gw-a reason control_stale_epoch) + $(at gw-a reason control_replayed))) -ge "$asked" ]; }
claim_until 5 "what was recorded before its restart is counted as such" old
claim_eq "no recorded AssignedIps is acted on" 0 "$(messages gw-a edge-a received_assigned_ips)"
unharmed "replays after a restart"

# --- a flood -----------------------------------------------------------------------------

accounted() {
    lab_fqdnat gw-a -j stats show | jq '[.[] | select(.reason | . == "control_unknown_source" or
        . == "control_forged" or . == "control_limited") | .packets] | add'
}
all_accounted() { [ "$(accounted)" -ge $((count + 2 * flood)) ]; }
count=$(accounted)
started=$(date +%s.%N)
make "${assigned[@]}" | attack "$neighbour:4700" "$gateway" --repeat "$flood" >"$LAB_RUN/flood-1" &
make "${assigned[@]}" --key "$wrong" | attack "$edge:$edge_port" "$gateway" --repeat "$flood" >"$LAB_RUN/flood-2" &
# A message may be lost in the flood: what is sent to the name makes the edge ask again.
claim "meanwhile a new name is connected to" lab_client curl -sS -4 -m 30 http://files.corp.example/who
claim "also from the other edge" side b lab_client curl -sS -4 -m 30 http://four.corp.example/who
claim "the connection goes on" flow_goes_on running
wait
printf '# %d messages in %.1f s\n' $((2 * flood)) "$(bc <<<"$(date +%s.%N) - $started")"
claim_until 20 "every message of the flood was counted or dropped by the queue" all_accounted
lab_fqdnat gw-a -j stats show | jq -r '.[] | select(.reason | startswith("control_")) |
    select(.packets > 0) | "# \(.reason) \(.packets)"'
claim_eq "the edge has its gateway" up "$(peer_value edge-a gw-a state)"
claim_eq "web is served as before" gw-a "$(way 4 web.corp.example)"
worst=$(awk '/^[0-9]/ && $2 > w { w = $2 } END { printf "%d", w * 1000 }' "$LAB_LOG/running.log")
claim "the connection has not come to a stop" test "$worst" -lt 10000
