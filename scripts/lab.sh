# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The lab: three network namespaces with a real DNS server and real servers, and a gateway
# between them that runs fqdnatd. Sourced by demo.sh and by the end-to-end tests.
#
#     PREFIX-client                 PREFIX-gw                       PREFIX-net
#     eth0 192.0.2.2      ────  lan0 192.0.2.1                     eth0 198.51.100.2
#          2001:db8:1::2             2001:db8:1::1                      2001:db8:2::2
#                               wan0 198.51.100.1      ────        .10 .11 web and echo
#                                    2001:db8:2::1                 .11     iperf3
#                                                                  .53     DNS (knot)
#
# The far side has no route back to the client: whatever is answered was translated.
#
# LAB_LAYOUT=split makes another one, with edges and gateways on machines of their own: lab-split.sh.
#
# Everything of a lab carries its prefix: namespaces PREFIX-*, files in /run/PREFIX-lab. A lab that
# was killed at any point is removed by lab_down with the same prefix. Only processes recorded in
# /run/PREFIX-lab/pids are ever killed, and only if they are still the ones that were recorded.

export LC_ALL=C
LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LAB_BUILD=${LAB_BUILD:-$LAB_ROOT/build}
LAB_LAYOUT=${LAB_LAYOUT:-box} # box, split
# shellcheck source=scripts/lab-split.sh
. "$LAB_ROOT/scripts/lab-split.sh"

# What lab_config writes; set before lab_up or lab_config to change it. Each list is YAML.
LAB_MODE=${LAB_MODE:-auto}
LAB_INTERFACES=${LAB_INTERFACES:-lan0 wan0}
LAB_LISTEN='["192.0.2.1", "2001:db8:1::1"]'
LAB_POOL4=${LAB_POOL4:-100.96.0.0/11}
LAB_POOL6=${LAB_POOL6:-fd00:2021:1111:8000::/107}
LAB_MASQUERADE=${LAB_MASQUERADE:-auto}
LAB_DNS_XDP=${LAB_DNS_XDP:-off}
LAB_HOPS=${LAB_HOPS:-hide}
LAB_SESSIONS=${LAB_SESSIONS:-'{max: 65536, per_client: 32768}'}
LAB_TIMEOUTS=${LAB_TIMEOUTS:-'{}'}
LAB_RESOLVER_TIMEOUT=${LAB_RESOLVER_TIMEOUT:-2}
LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.0/24, "2001:db8:1::/64"]}'
LAB_TRANSLATE=${LAB_TRANSLATE:-same-family}
LAB_FILTERS='[{tcp: 80}, {tcp: 7}, {udp: 7}, {tcp: 5201}, {udp: 5201}, icmp]'
LAB_GRANTS='  - {client: lan, resource: intranet}
  - {client: lan, resource: open}'

# Name the lab and its places; makes nothing.
lab_init() {
    LAB_LOCK_FD=
    LAB_PREFIX=$1
    LAB_CLIENT=$LAB_PREFIX-client
    LAB_GW=$LAB_PREFIX-gw
    LAB_NET=$LAB_PREFIX-net
    LAB_RUN=/run/$LAB_PREFIX-lab
    LAB_BPFFS=$LAB_RUN/bpf
    LAB_CONFIG=$LAB_RUN/fqdnat.yaml
    LAB_SOCKET=$LAB_RUN/control.sock
    LAB_STATE=$LAB_RUN/state
    LAB_LOG=$LAB_RUN/log
    LAB_DAEMON=fqdnatd
    [ "$LAB_LAYOUT" = box ] || {
        lab_node client-a
        lab_node edge-a
    }
}

lab_say() {
    echo "lab: $*" >&2
}

# Run something at one of the places. The gateway keeps the host's mounts (ip netns exec
# would hide /sys/fs/bpf); the client has a resolv.conf of its own.
lab_client() { ip netns exec "$LAB_CLIENT" "$@"; }
lab_gw() { nsenter --net="/run/netns/$LAB_GW" -- "$@"; }
lab_net() { ip netns exec "$LAB_NET" "$@"; }

# The command line, talking to the lab's daemon: lab_fqdnat [NODE] WORDS...
lab_fqdnat() {
    if lab_is_node "${1-}"; then
        lab_on "$1" lab_fqdnat "${@:2}"
        return
    fi
    FQDNAT_STATE=$LAB_STATE lab_gw "$LAB_BUILD/fqdnat" -s "$LAB_SOCKET" -b "$LAB_BPFFS" "$@"
}

# Wait until a command succeeds: lab_until SECONDS COMMAND...
# SECONDS (2, 0.5) are enough on a machine that is idle; one that is slow and busy is given a multiple.
LAB_PATIENCE=${LAB_PATIENCE:-6}
lab_until() {
    local end
    end=$((${EPOCHREALTIME/./} + LAB_PATIENCE * $(printf %.0f "${1}e6")))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# --- processes ---------------------------------------------------------------------------

# When a process started, in clock ticks since boot: with its pid, who it is.
lab_pid_born() {
    local -a stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra stat <<<"${stat##*) }"
    echo "${stat[19]}"
}

# Start a process of the lab in a namespace: lab_spawn NAME NAMESPACE COMMAND...
# It writes its own pid file before it becomes the command, so that there is no moment at which a
# killed script leaves a process behind that nobody knows.
lab_spawn() {
    local name=$1 netns=$2
    shift 2
    # shellcheck disable=SC2016 # expanded by the inner shell
    setsid nsenter --net="/run/netns/$netns" -- bash -c '
        file=$1 lock=$2
        shift 2
        [ -z "$lock" ] || exec {lock}>&-
        read -r stat </proc/$$/stat
        words=(${stat##*) })
        echo "$$ ${words[19]}" >"$file"
        exec "$@"' bash "$LAB_RUN/pids/$name" "$LAB_LOCK_FD" "$@" \
        </dev/null >>"$LAB_LOG/$name.log" 2>&1 &
    disown
    lab_until 5 test -s "$LAB_RUN/pids/$name"
}

# The pid of a recorded process, if it is still that process.
lab_pid() {
    local pid born
    read -r pid born 2>/dev/null <"$LAB_RUN/pids/$1" || return 1
    [ "$(lab_pid_born "$pid")" = "$born" ] || return 1
    echo "$pid"
}

lab_gone() { ! lab_pid "$1" >/dev/null; }

# End a recorded process: TERM, and KILL if that does not help.
lab_stop() {
    local pid
    if pid=$(lab_pid "$1"); then
        kill "$pid" 2>/dev/null || true
        if ! lab_until 5 lab_gone "$1"; then
            lab_say "$1 (pid $pid) did not end when it was told to: killing it"
            kill -9 "$pid" 2>/dev/null || true
            lab_until 5 lab_gone "$1" || true
        fi
    fi
    rm -f "$LAB_RUN/pids/$1"
}

# --- network -----------------------------------------------------------------------------

# A veth pair between two namespaces: lab_link NS DEV NS DEV
lab_link() {
    ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
}

# Addresses, usable at once: lab_address NS DEV ADDRESS/LENGTH...
lab_address() {
    local netns=$1 dev=$2 address
    shift 2
    for address in "$@"; do
        if [[ $address == *:* ]]; then
            ip -n "$netns" address add "$address" dev "$dev" nodad
        else
            ip -n "$netns" address add "$address" dev "$dev"
        fi
    done
}

# Make a namespace in which addresses are usable at once.
lab_netns() {
    ip netns add "$1"
    lab_sysctl "$1" net/ipv6/conf/all/accept_dad=0 net/ipv6/conf/default/accept_dad=0
    ip -n "$1" link set lo up
}

# Let a client's interface behave as one of a real machine: lab_take_redirected NS DEV
lab_take_redirected() {
    # Frames that XDP redirects into a veth arrive only if its peer polls (NAPI): GRO does that.
    ip netns exec "$1" ethtool -K "$2" gro on

    # Without this, all the way to the gateway's ICMP error and back is one call stack below the
    # client's connect(), whose socket is locked: Linux then keeps the error to itself until the SYN is
    # sent again. Packets that arrive in a thread of their own behave as from a real link.
    ip netns exec "$1" sh -c "echo 1 >/sys/class/net/$2/threaded" 2>/dev/null ||
        lab_say "no threaded NAPI here: clients notice refusals a second late"
}

lab_network_box() {
    local netns
    for netns in "$LAB_CLIENT" "$LAB_GW" "$LAB_NET"; do
        lab_netns "$netns"
    done
    lab_sysctl "$LAB_GW" net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1

    lab_link "$LAB_GW" lan0 "$LAB_CLIENT" eth0
    lab_link "$LAB_GW" wan0 "$LAB_NET" eth0
    lab_address "$LAB_CLIENT" eth0 192.0.2.2/24 2001:db8:1::2/64
    lab_address "$LAB_GW" lan0 192.0.2.1/24 2001:db8:1::1/64
    lab_address "$LAB_GW" wan0 198.51.100.1/24 2001:db8:2::1/64
    lab_address "$LAB_NET" eth0 198.51.100.{2,10,11,53}/24 2001:db8:2::{2,10,11,53}/64
    ip -n "$LAB_CLIENT" route add default via 192.0.2.1
    ip -n "$LAB_CLIENT" -6 route add default via 2001:db8:1::1

    lab_take_redirected "$LAB_CLIENT" eth0
    lab_net ethtool -K eth0 gro on
}

lab_sysctl() {
    local netns=$1 setting
    shift
    for setting in "$@"; do
        # shellcheck disable=SC2016 # expanded by the inner shell
        ip netns exec "$netns" sh -c 'echo "$2" >"/proc/sys/$1"' sh "${setting%%=*}" "${setting#*=}"
    done
}

# --- the far side ------------------------------------------------------------------------

lab_dns_server() {
    local dir=$LAB_RUN/knot zone listen="198.51.100.53@53, 2001:db8:2::53@53"
    [ "$LAB_LAYOUT" = box ] || listen+=", 10.9.0.53@53"
    mkdir -p "$dir/db"
    {
        printf '%s\n' 'server:' \
            "    rundir: $dir" \
            "    listen: [$listen]" \
            '    udp-workers: 1' '    tcp-workers: 1' '    background-workers: 1' \
            'control:' "    listen: $dir/knot.sock" \
            'log:' '  - target: stderr' '    any: warning' \
            'database:' "    storage: $dir/db" '    journal-db-max-size: 16M' \
            '    kasp-db-max-size: 16M' '    timer-db-max-size: 16M' \
            'template:' '  - id: default' '    zonefile-load: whole' '    zonefile-sync: -1' \
            '    journal-content: none' \
            'zone:'
        for zone in "$LAB_ROOT"/scripts/lab-zones/*.zone; do
            printf '  - domain: %s\n    file: %s\n' "$(awk '/^.ORIGIN/ {print $2}' "$zone")" "$zone"
        done
    } >"$dir/knot.conf"
    lab_spawn knotd "$LAB_NET" knotd -c "$dir/knot.conf"
}

# Change the zone of the running DNS server: lab_zone set four 60 A 198.51.100.11
lab_zone() {
    local knotc=(knotc --socket "$LAB_RUN/knot/knot.sock")
    local verb=$1
    shift
    "${knotc[@]}" zone-begin corp.example >/dev/null
    "${knotc[@]}" "zone-$verb" corp.example "$@" >/dev/null
    "${knotc[@]}" zone-commit corp.example >/dev/null
}

# Questions that arrive at the DNS server by UDP are counted for the names in $LAB_WATCHED: proof of
# what was asked again and what was not. Questions for silent are never answered. (A resolver of
# the gateway's kind asks this server only and follows no delegation, so a mute server of silent's own
# would not be asked.)
LAB_WATCHED=${LAB_WATCHED:-silent nx web}

lab_dns_filter() {
    local name
    {
        echo 'table inet lab {'
        for name in $LAB_WATCHED; do
            echo "    counter asked_$name { }"
        done
        echo '    chain input {'
        echo '        type filter hook input priority 0; policy accept'
        for name in $LAB_WATCHED; do
            echo "        udp dport 53 $(lab_dns_match "$name") counter name asked_$name"
        done
        echo '    }'
        echo '    chain mute {'
        echo '        type filter hook input priority 1; policy accept'
        echo '    }'
        echo '}'
    } | lab_net nft -f -
    lab_mute silent
}

# nft expression for a question about LABEL.corp...: the labels at the start of the message's
# question, after the UDP header (8 bytes) and the DNS header (12).
lab_dns_match() {
    local hex
    hex=$(printf '%02x%s%02x%s' "${#1}" "$(lab_hex "$1")" 4 "$(lab_hex corp)")
    echo "@th,160,$((${#hex} * 4)) 0x$hex"
}

lab_hex() { printf %s "$1" | od -An -tx1 | tr -d ' \n'; }

# How many questions for a watched LABEL.corp.example have arrived.
lab_asked() {
    lab_net nft -j list counter inet lab "asked_$1" | jq '.nftables[] | .counter? // empty | .packets'
}

# Let the DNS server not answer for LABEL.corp.example.
lab_mute() {
    echo "$1" >>"$LAB_RUN/muted"
    lab_dns_mute
}

# Let it answer again.
lab_unmute() {
    sed -i "/^$1\$/d" "$LAB_RUN/muted"
    lab_dns_mute
}

lab_dns_mute() {
    local name
    {
        echo 'flush chain inet lab mute'
        while read -r name; do
            echo "add rule inet lab mute udp dport 53 $(lab_dns_match "$name") drop"
        done <"$LAB_RUN/muted"
    } | lab_net nft -f -
}

lab_far_side() {
    lab_dns_server
    lab_spawn servers "$LAB_NET" /usr/bin/python3 "$LAB_ROOT/scripts/lab-servers.py" \
        198.51.100.10 198.51.100.11 2001:db8:2::10 2001:db8:2::11
    # Bound to an address each: an iperf3 on the wildcard answers UDP from the primary one.
    lab_spawn iperf3 "$LAB_NET" iperf3 --server --bind 198.51.100.11
    lab_spawn iperf3-6 "$LAB_NET" iperf3 --server --bind 2001:db8:2::11
    lab_dns_filter
    lab_until 10 lab_net dig +tries=1 +time=1 +short @198.51.100.53 corp.example SOA ||
        { lab_say "the DNS server does not answer"; return 1; }
    lab_until 10 grep -qs ready "$LAB_LOG/servers.log" ||
        { lab_say "the web servers do not start"; return 1; }
    lab_until 10 lab_listens 5201 2 || { lab_say "iperf3 does not start"; return 1; }
}

# Whether COUNT sockets listen on a TCP port: lab_listens PORT COUNT
lab_listens() { [ "$(lab_net ss -Hltn "sport = :$1" | wc -l)" -eq "$2" ]; }

# --- gateway -----------------------------------------------------------------------------

# Write the daemons' configuration from the LAB_ variables above.
lab_config() { "lab_config_$LAB_LAYOUT" "$@"; }

lab_config_box() {
    {
        cat <<YAML
bpffs: $LAB_BPFFS
state: $LAB_STATE
control_socket: $LAB_SOCKET
interfaces: [$(lab_config_interfaces)]
edge:
  dns: {listen: $LAB_LISTEN, upstream: ["198.51.100.53"], xdp: $LAB_DNS_XDP}
  pools: {ipv4: $LAB_POOL4, ipv6: "$LAB_POOL6"}
gateway:
  resolver: {servers: ["198.51.100.53"], timeout_s: $LAB_RESOLVER_TIMEOUT}
  masquerade: $LAB_MASQUERADE
  hops: $LAB_HOPS
  sessions: $LAB_SESSIONS
  timeouts: $LAB_TIMEOUTS
clients:
$LAB_CLIENTS
YAML
        lab_config_resources
        echo "grants:"
        echo "$LAB_GRANTS"
    } >"$LAB_CONFIG.new"
    mv "$LAB_CONFIG.new" "$LAB_CONFIG"
}

lab_config_interfaces() {
    local name
    for name in $LAB_INTERFACES; do
        printf '{name: %s, mode: %s}, ' "$name" "$LAB_MODE"
    done
}

# Where gateways are on other machines, each resource has its own order of them.
lab_config_resources() {
    local intranet='' open=''
    if [ "$LAB_LAYOUT" = split ]; then
        intranet="    gateways: $LAB_GATEWAYS_INTRANET"
        open="    gateways: $LAB_GATEWAYS_OPEN"
    fi
    cat <<YAML
resources:
  - id: 5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10
    name: intranet
    address: "*.corp.example"
    filters: $LAB_FILTERS
    translate: $LAB_TRANSLATE
$intranet
  - id: 5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a11
    name: private
    address: "*.priv.example"
  - id: 5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a12
    name: open
    address: "*.open.example"
$open
YAML
}

# Start the daemon and wait until it answers: lab_daemon_start [NODE] OPTIONS...
lab_daemon_start() {
    if lab_is_node "${1-}"; then
        lab_on "$1" lab_daemon_start "${@:2}"
        return
    fi
    lab_daemon_spawn "$@"
    lab_daemon_wait
}

lab_daemon_spawn() {
    lab_spawn "$LAB_DAEMON" "$LAB_GW" "$LAB_BUILD/fqdnatd" -c "$LAB_CONFIG" "$@"
}

lab_daemon_wait() {
    lab_until 60 lab_daemon_answers_or_gone
    lab_daemon_answers || {
        lab_say "$LAB_DAEMON does not start:"
        tail -n 20 "$LAB_LOG/$LAB_DAEMON.log" >&2
        return 1
    }
}

# All of them, side by side: the kernel takes a while to verify programs. lab_daemons_start OPTIONS...
lab_daemons_start() {
    local node
    if [ "$LAB_LAYOUT" = box ]; then
        lab_daemon_start "$@"
        return
    fi
    for node in "${LAB_GATEWAYS[@]}" "${LAB_EDGES[@]}"; do
        lab_on "$node" lab_daemon_spawn "$@"
    done
    for node in "${LAB_GATEWAYS[@]}" "${LAB_EDGES[@]}"; do
        lab_on "$node" lab_daemon_wait
    done
}

lab_daemon_answers() { lab_fqdnat -j config show >/dev/null 2>&1; }
lab_daemon_answers_or_gone() { lab_daemon_answers || lab_gone "$LAB_DAEMON"; }

# lab_daemon_stop [NODE]
lab_daemon_stop() { lab_stop "${1:+fqdnatd-}${1:-$LAB_DAEMON}"; }

# The hard way: lab_daemon_kill [NODE]
lab_daemon_kill() {
    local name=${1:+fqdnatd-}${1:-$LAB_DAEMON}
    kill -9 "$(lab_pid "$name")"
    lab_until 5 lab_gone "$name"
    rm -f "$LAB_RUN/pids/$name"
}

# --- up and down -------------------------------------------------------------------------

# One script at a time works on a lab. The lock ends with the script, however it ends; another one
# waits a little for it.
lab_lock() {
    mkdir -p /run/lock
    exec {LAB_LOCK_FD}>"/run/lock/$LAB_PREFIX-lab"
    flock -w "${LAB_LOCK_WAIT_S:-10}" "$LAB_LOCK_FD"
}

# Everything but the daemons. A left-over lab of the same prefix is removed first.
lab_up() {
    lab_down
    mkdir -p "$LAB_RUN/pids" "$LAB_LOG" "$LAB_RUN/bpf"
    # A bpffs of its own: ip netns exec would hide the one in /sys.
    mount -t bpf bpf "$LAB_RUN/bpf"
    mkdir -p "$LAB_STATE" "$LAB_BPFFS"
    if [ "$LAB_LAYOUT" = split ]; then
        lab_resolv_conf "$LAB_PREFIX-client-a" 192.0.2.1 2001:db8:1::1
        lab_resolv_conf "$LAB_PREFIX-client-b" 203.0.113.1 2001:db8:3::1
        lab_keys
    else
        lab_resolv_conf "$LAB_CLIENT" 192.0.2.1 2001:db8:1::1
    fi
    "lab_network_$LAB_LAYOUT"
    lab_far_side
    lab_config
}

# What programs in a namespace ask: lab_resolv_conf NS SERVER...
lab_resolv_conf() {
    mkdir -p "/etc/netns/$1"
    printf 'nameserver %s\n' "${@:2}" >"/etc/netns/$1/resolv.conf"
    echo 'options timeout:20 attempts:1' >>"/etc/netns/$1/resolv.conf"
}

# Remove what lab_up and lab_spawn made, of either layout, however far they came. Silent where there
# is nothing.
lab_down() {
    local file netns name
    for file in "$LAB_RUN"/pids/*; do
        if [ -e "$file" ]; then
            lab_stop "${file##*/}"
        fi
    done
    for name in client gw {client,edge,gw}-{a,b} net inner far; do
        netns=$LAB_PREFIX-$name
        if [ -e "/run/netns/$netns" ]; then
            ip netns delete "$netns" 2>/dev/null || rm -f "/run/netns/$netns"
        fi
        rm -rf "/etc/netns/$netns"
    done
    if mountpoint -q "$LAB_RUN/bpf" 2>/dev/null; then
        umount "$LAB_RUN/bpf"
    fi
    rm -rf "$LAB_RUN"
    rmdir /etc/netns 2>/dev/null || true
}
