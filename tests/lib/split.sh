# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# For the end-to-end tests of edges and gateways on machines of their own, beside e2e.sh: the lab's
# other layout, both sides of a client, what peers say of each other. Source it instead of e2e.sh.

# shellcheck source=tests/lib/e2e.sh
. "$(dirname "${BASH_SOURCE[0]}")/e2e.sh"
export LAB_LAYOUT=split

# The lab with all daemons, each edge in contact with each gateway.
split_up() {
    e2e_up -v
    split_meet
}

split_meet() {
    local edge
    for edge in "${LAB_EDGES[@]}"; do
        claim_until 15 "$edge hears both gateways" peers_are "$edge" up up
    done
}

# Do something with the client and the edge of a side as the lab's: side A|B COMMAND...
side() {
    (
        lab_node "client-$1"
        lab_node "edge-$1"
        shift
        "$@"
    )
}

# Do something with a daemon's socket as the lab's, for the questions of e2e.sh: at NODE COMMAND...
at() { lab_on "$@"; }

# --- peers -------------------------------------------------------------------------------

# The states of all peers of a node, in order: peers_are NODE STATE...
peers_are() { [ "$(lab_fqdnat "$1" -j gateway show | jq -r 'map(.state) | join(" ")')" = "${*:2}" ]; }
peer_is() { [ "$(peer_value "$1" "$2" state)" = "$3" ]; }

# What a node says of a peer: peer_value NODE PEER KEY
peer_value() { lab_fqdnat "$1" -j gateway show "$2" | jq -r --arg k "$3" '.[0][$k]'; }

# How many messages of a kind a node has counted with a peer: messages NODE PEER KIND
messages() { lab_fqdnat "$1" -j gateway show "$2" | jq -r --arg k "$3" '.[0].messages[$k]'; }

# The gateways of a domain's entries, as its edge sees them: gateway_of NAME
gateway_of() { lab_fqdnat -j domain show "$1" | jq -r 'map(.gateway) | unique | join(" ")'; }
served_by() { [ "$(gateway_of "$1")" = "$2" ]; }

# Which gateway's address a client came from, as the server sees it: way FAMILY(4|6) NAME
way() {
    local server client
    read -r server client _ < <(who "$1" "$2")
    case $client in
    198.51.100.1 | 2001:db8:2::1) echo gw-a ;;
    198.51.100.3 | 2001:db8:2::3) echo gw-b ;;
    *) echo "nobody ($server $client)" ;;
    esac
}

# --- sessions ----------------------------------------------------------------------------

# A value of the session of a client's port: session_value PORT KEY
session_value() {
    lab_fqdnat -j session show |
        jq -r --argjson p "$1" --arg k "$2" '[.[] | select(.client_port == $p)] | .[0][$k]'
}

# Datagrams with whatever source, to a neighbour: spoof NETNS DEV NEIGHBOUR_NETNS NEIGHBOUR_DEV FROM TO
# [COUNT]
spoof() {
    local mac
    mac=$(ip -n "$3" -j link show dev "$4" | jq -r '.[0].address')
    ip netns exec "$1" /usr/bin/python3 "$E2E_ROOT/tests/lib/spoof.py" "$2" "$mac" "${@:5}"
}

# --- traffic that goes on ----------------------------------------------------------------

# A long connection to the echo server from the lab's client: flow NAME ADDRESS [OPTIONS...]
flow() { lab_spawn "$1" "$LAB_CLIENT" /usr/bin/python3 "$E2E_ROOT/tests/lib/flow.py" "${@:2}"; }

# How many of its lines have come back; its port; how it ended.
flow_lines() { grep -c '^[0-9]' "$LAB_LOG/$1.log" || true; }
flow_port() { sed -n 's/^connected //p' "$LAB_LOG/$1.log"; }
flow_end() { sed -n 's/^ended //p' "$LAB_LOG/$1.log"; }
flow_beyond() { [ "$(flow_lines "$1")" -gt "$2" ]; }
flow_ended() { [ -n "$(flow_end "$1")" ]; }

# Whether it makes progress from now on: flow_goes_on NAME
flow_goes_on() { lab_until 5 flow_beyond "$1" "$(($(flow_lines "$1") + 3))"; }

# Connections, each begun S seconds after the one before: connections NAME EVERY COUNT ADDRESS
connections() {
    local i list=()
    for ((i = 0; i < $3; i++)); do
        list+=("$4")
    done
    lab_spawn "$1" "$LAB_CLIENT" /usr/bin/python3 "$E2E_ROOT/tests/lib/fresh.py" --family 4 \
        --timeout 70 --every "$2" "${list[@]}"
}
