# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The lab with edges and gateways on machines of their own (LAB_LAYOUT=split): two of each. Sourced
# by lab.sh.
#
#     client-a ── edge-a ─┐              ┌─ gw-a ─┐
#     192.0.2.2           ├── the path ──┤        ├── net
#     client-b ── edge-b ─┘              └─ gw-b ─┘
#     203.0.113.2      10.9.0.11, .12  10.9.0.1, .2    198.51.100.1, .3 │ .2 .10 .11 .53
#     2001:db8:3::2    fd09::11, ::12  fd09::1, ::2    2001:db8:2::1, ::3 │ ::2 ::10 ::11 ::53
#
# Edges have lan0 and path0, gateways path0 and wan0. The path is a bridge in the namespace net,
# where the DNS server is reached as 10.9.0.53, too, for what is no resource's name. The far side has
# no route back to the clients; the gateways have one by way of each client's edge. What is no
# proxy address leaves an edge by gw-a, whatever gateway a name has.
#
# Every machine that runs fqdnatd is a node with a configuration, a socket and a log of its own:
# lab_on NODE COMMAND... does something as if the node were the lab's gateway.
#
# shellcheck disable=SC2034 # variables of lab.sh

# What lab_config writes; set before lab_up or lab_config to change it. Each list is YAML.
LAB_TRUST=${LAB_TRUST:-keys}       # keys: every pair has its own; prefix: the path counts as a tunnel
LAB_CONTROL_IP=${LAB_CONTROL_IP:-4} # IP version of the control messages
LAB_SOURCE_CHECK=${LAB_SOURCE_CHECK:-replies}
LAB_PER_EDGE=${LAB_PER_EDGE:-'{}'}
LAB_EDGE_SESSIONS=${LAB_EDGE_SESSIONS:-'{}'}
LAB_EDGE_TIMEOUTS=${LAB_EDGE_TIMEOUTS:-'{}'}
LAB_GATEWAYS_INTRANET='[gw-a, gw-b]'
LAB_GATEWAYS_OPEN='[gw-b, gw-a]'
LAB_SPLIT_CLIENTS='  - {name: lan-a, prefixes: [192.0.2.0/24, "2001:db8:1::/64"], edge: edge-a}
  - {name: lan-b, prefixes: [203.0.113.0/24, "2001:db8:3::/64"], edge: edge-b}'
LAB_SPLIT_GRANTS='  - {client: lan-a, resource: intranet}
  - {client: lan-a, resource: open}
  - {client: lan-b, resource: intranet}
  - {client: lan-b, resource: open}'

LAB_EDGES=(edge-a edge-b)
LAB_GATEWAYS=(gw-a gw-b)

# The last part of a node's addresses on the path.
declare -gA LAB_PATH_HOST=([gw-a]=1 [gw-b]=2 [edge-a]=11 [edge-b]=12)

# Whether a word names a machine of the lab.
lab_is_node() {
    [ "$LAB_LAYOUT" = split ] && [[ $1 =~ ^(client|edge|gw)-[ab]$ ]]
}

# From here on, the lab's gateway (or client) is NODE: lab_node NODE
lab_node() {
    case $1 in
    client-*) LAB_CLIENT=$LAB_PREFIX-$1 ;;
    *)
        LAB_GW=$LAB_PREFIX-$1
        LAB_BPFFS=$LAB_RUN/bpf/$1
        LAB_CONFIG=$LAB_RUN/$1.yaml
        LAB_SOCKET=$LAB_RUN/$1.sock
        LAB_STATE=$LAB_RUN/state-$1
        LAB_DAEMON=fqdnatd-$1
        ;;
    esac
}

# Do something as if NODE were the lab's gateway or client; variables that it sets are lost:
# lab_on NODE COMMAND...
lab_on() {
    (
        lab_node "$1"
        shift
        "$@"
    )
}

lab_path_address() {
    local host=${LAB_PATH_HOST[$1]}
    if [ "${2:-$LAB_CONTROL_IP}" = 6 ]; then
        echo "fd09::$host"
    else
        echo "10.9.0.$host"
    fi
}

# --- network -----------------------------------------------------------------------------

# A bridge whose ports take frames that XDP redirects: lab_bridge NS DEV
lab_bridge() {
    ip -n "$1" link add "$2" type bridge
    ip -n "$1" link set "$2" up
}

# Link a machine to a bridge of net: lab_plug NS DEV BRIDGE PORT
lab_plug() {
    lab_link "$1" "$2" "$LAB_NET" "$4"
    ip -n "$LAB_NET" link set "$4" master "$3"
    lab_net ethtool -K "$4" gro on
}

# The network of a client and its edge: lab_split_lan A|B NET4 NET6
lab_split_lan() {
    local client=$LAB_PREFIX-client-$1 edge=$LAB_PREFIX-edge-$1
    lab_link "$edge" lan0 "$client" eth0
    lab_address "$client" eth0 "$2.2/24" "$3::2/64"
    lab_address "$edge" lan0 "$2.1/24" "$3::1/64"
    ip -n "$client" route add default via "$2.1"
    ip -n "$client" -6 route add default via "$3::1"
    lab_take_redirected "$client" eth0
}

lab_split_path() {
    local node netns
    for node in "${LAB_EDGES[@]}" "${LAB_GATEWAYS[@]}"; do
        netns=$LAB_PREFIX-$node
        lab_plug "$netns" path0 path "$node"
        lab_address "$netns" path0 "$(lab_path_address "$node" 4)/24" \
            "$(lab_path_address "$node" 6)/64"
    done
    for node in "${LAB_EDGES[@]}"; do
        ip -n "$LAB_PREFIX-$node" route add default via 10.9.0.1
        ip -n "$LAB_PREFIX-$node" -6 route add default via fd09::1
    done
}

# A gateway's way to the far side, and back to the clients: lab_split_site NODE HOST
lab_split_site() {
    local netns=$LAB_PREFIX-$1
    lab_plug "$netns" wan0 eth0 "wan-$1"
    lab_address "$netns" wan0 "198.51.100.$2/24" "2001:db8:2::$2/64"
    ip -n "$netns" route add 192.0.2.0/24 via 10.9.0.11
    ip -n "$netns" route add 203.0.113.0/24 via 10.9.0.12
    ip -n "$netns" -6 route add 2001:db8:1::/64 via fd09::11
    ip -n "$netns" -6 route add 2001:db8:3::/64 via fd09::12
}

lab_network_split() {
    local node
    for node in client-a client-b "${LAB_EDGES[@]}" "${LAB_GATEWAYS[@]}" net; do
        lab_netns "$LAB_PREFIX-$node"
    done
    for node in "${LAB_EDGES[@]}" "${LAB_GATEWAYS[@]}"; do
        lab_sysctl "$LAB_PREFIX-$node" net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
    done
    lab_bridge "$LAB_NET" eth0
    lab_bridge "$LAB_NET" path
    lab_address "$LAB_NET" eth0 198.51.100.{2,10,11,53}/24 2001:db8:2::{2,10,11,53}/64
    lab_address "$LAB_NET" path 10.9.0.53/24 fd09::53/64
    lab_split_lan a 192.0.2 2001:db8:1
    lab_split_lan b 203.0.113 2001:db8:3
    lab_split_path
    lab_split_site gw-a 1
    lab_split_site gw-b 3
}

# --- configuration -----------------------------------------------------------------------

# A key for every pair of an edge and a gateway; both find it in the same place.
lab_keys() {
    local edge gateway
    mkdir -p "$LAB_RUN/keys"
    for edge in "${LAB_EDGES[@]}"; do
        for gateway in "${LAB_GATEWAYS[@]}"; do
            (
                umask 077
                head -c 32 /dev/urandom | base64 >"$LAB_RUN/keys/$edge.$gateway"
            )
        done
    done
}

# A peer as a line of a list: lab_peer NAME EDGE GATEWAY
lab_peer() {
    local key=
    [ "$LAB_TRUST" != keys ] || key=", key_file: $LAB_RUN/keys/$2.$3"
    echo "    - {name: $1, address: \"$(lab_path_address "$1")\"$key}"
}

lab_config_places() {
    echo "bpffs: $LAB_BPFFS"
    echo "state: $LAB_STATE"
    echo "control_socket: $LAB_SOCKET"
    echo "interfaces: [{name: $1, mode: $LAB_MODE}, {name: $2, mode: $LAB_MODE}]"
    echo "source_check: $LAB_SOURCE_CHECK"
    [ "$LAB_TRUST" = keys ] || echo 'control: {trusted: [10.9.0.0/24, "fd09::/64"]}'
}

lab_config_edge() {
    local node=$1 net4=192.0.2 net6=2001:db8:1 gateway
    [ "$node" = edge-a ] || net4=203.0.113 net6=2001:db8:3
    lab_config_places lan0 path0
    cat <<YAML
edge:
  dns: {listen: ["$net4.1", "$net6::1"], upstream: ["10.9.0.53"]}
  pools: {ipv4: $LAB_POOL4, ipv6: "$LAB_POOL6"}
  control: {address: "$(lab_path_address "$node")"}
  sessions: $LAB_EDGE_SESSIONS
  timeouts: $LAB_EDGE_TIMEOUTS
  gateways:
YAML
    for gateway in "${LAB_GATEWAYS[@]}"; do
        lab_peer "$gateway" "$node" "$gateway"
    done
    echo "clients:"
    echo "  - {name: lan-${node#edge-}, prefixes: [$net4.0/24, \"$net6::/64\"]}"
    lab_config_resources
}

lab_config_gateway() {
    local node=$1 edge
    lab_config_places path0 wan0
    cat <<YAML
gateway:
  listen: {address: "$(lab_path_address "$node")"}
  resolver: {servers: ["198.51.100.53"], timeout_s: $LAB_RESOLVER_TIMEOUT}
  masquerade: $LAB_MASQUERADE
  sessions: $LAB_SESSIONS
  timeouts: $LAB_TIMEOUTS
  per_edge: $LAB_PER_EDGE
  edges:
YAML
    for edge in "${LAB_EDGES[@]}"; do
        lab_peer "$edge" "$edge" "$node"
    done
    echo "clients:"
    echo "$LAB_SPLIT_CLIENTS"
    lab_config_resources
    echo "grants:"
    echo "$LAB_SPLIT_GRANTS"
}

# All nodes, or one: lab_config_split [NODE]
lab_config_split() {
    local node
    [ "$#" -gt 0 ] || set -- "${LAB_EDGES[@]}" "${LAB_GATEWAYS[@]}"
    for node in "$@"; do
        lab_on "$node" lab_config_node "$node"
    done
}

lab_config_node() {
    mkdir -p "$LAB_STATE" "$LAB_BPFFS"
    case $1 in
    edge-*) lab_config_edge "$1" ;;
    gw-*) lab_config_gateway "$1" ;;
    esac >"$LAB_CONFIG.new"
    mv "$LAB_CONFIG.new" "$LAB_CONFIG"
}

# --- the path ----------------------------------------------------------------------------

# Lose PERCENT of the control messages, in both directions, where they arrive: at an output hook
# their sender would be told. Without nodes, at all of them: lab_loss PERCENT [NODE...]
lab_loss() {
    local percent=$1 node
    shift
    [ "$#" -gt 0 ] || set -- "${LAB_EDGES[@]}" "${LAB_GATEWAYS[@]}"
    for node in "$@"; do
        lab_loss_at "$node" "$percent"
    done
}

# The counters outlive a change of the percentage.
lab_loss_at() {
    local match='udp dport 4700' chance="numgen random mod 100 < $2"
    [[ $1 != edge-* ]] || match='udp sport 4700'
    [ "$2" -lt 100 ] || chance=''
    lab_on "$1" lab_gw nft -f - <<NFT
table inet lab_loss {
    counter arrived { }
    counter lost { }
    chain control {
        type filter hook input priority 0; policy accept
    }
}
flush chain inet lab_loss control
add rule inet lab_loss control $match counter name arrived
add rule inet lab_loss control $match $chance counter name lost drop
NFT
}

# Control messages for a node since the first lab_loss: lab_control NODE arrived|lost
# Those that were lost have arrived, too.
lab_control() {
    lab_on "$1" lab_gw nft -j list counter inet lab_loss "$2" |
        jq '.nftables[] | .counter? // empty | .packets'
}

# Take a machine off the path, and put it back: lab_unplug NODE, lab_replug NODE
lab_unplug() { ip -n "$LAB_NET" link set "$1" down; }
lab_replug() { ip -n "$LAB_NET" link set "$1" up; }
