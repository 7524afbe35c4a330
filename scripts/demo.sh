#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Show fqdnat at work: a client, a gateway and an internet of their own in network namespaces,
# real DNS, HTTP, UDP and ping between them. Every step checks what came out; the exit status is 0
# only if all of it worked.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=scripts/lab.sh
. "$here/lab.sh"
# shellcheck source=scripts/demo-split.sh
. "$here/demo-split.sh"

usage() {
    cat <<'USAGE'
usage: scripts/demo.sh [split] [up | down | help]      (as root)

  (nothing)  build, make the lab, tell the story, remove the lab
  up         build, make the lab, start the daemon, and leave it running
  down       remove the lab, also one that was left over
  help       this text

  split      the second act: edges and gateways on machines of their own, and a path between
             them that loses messages

LAB_PREFIX (fqdnat) names the lab: its namespaces are fqdnat-client, fqdnat-gw, fqdnat-net, ...
USAGE
}

die() {
    echo "demo.sh: $*" >&2
    exit 1
}

# --- telling -----------------------------------------------------------------------------

if [ -t 1 ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' plain=''
fi
step=0
place_width=6

chapter() {
    step=$((step + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$plain"
}

say() {
    printf '%s\n' "$@" | sed 's/^/  /'
}

# Run a command at a place, show both it and its output, keep the output in $out and its status in
# $status: at client|gw|net|NODE COMMAND...
at() {
    local place=$1
    shift
    printf '  %s%-*s$ %s%s\n' "$dim" "$place_width" "$place" "$*" "$plain"
    status=0
    out=$(run_at "$place" "$@" 2>&1) || status=$?
    [ -z "$out" ] || printf '%s\n' "$out" | sed 's/^/    /'
}

run_at() {
    local place=$1
    shift
    case $place in
    client) lab_client bash -c "$*" ;;
    net) lab_net bash -c "$*" ;;
    gw) lab_gw env PATH="$LAB_BUILD:$PATH" FQDNAT_BPFFS="$LAB_BPFFS" bash -c "$(own_socket "$*")" ;;
    edge) lab_on edge-a run_at gw "$@" ;;
    client-*) lab_on "$place" run_at client "$@" ;;
    *) lab_on "$place" run_at gw "$@" ;;
    esac
}

# The lab's socket is shown as the default one would be: without words.
own_socket() {
    echo "${1/#fqdnat /fqdnat -s $LAB_SOCKET }"
}

# Check the step's claim: claim TEXT COMMAND...
claim() {
    local text=$1 log
    shift
    if "$@" >/dev/null 2>&1; then
        printf '  %sok%s      %s\n' "$green" "$plain" "$text"
        return
    fi
    printf '  %sFAILED%s  %s\n' "$red" "$plain" "$text"
    for log in "$LAB_LOG"/fqdnatd*.log; do
        printf '\nThe log of the daemon ends with: (%s)\n' "$log" >&2
        tail -n 15 "$log" >&2 || true
    done
    exit 1
}

has() { grep -Eq -- "$1" <<<"$out"; }
failed() { [ "$status" -ne 0 ]; }
# curl: could not connect, as opposed to a timeout (28).
refused() { [ "$status" -eq 7 ]; }
worked() { [ "$status" -eq 0 ]; }
worked_with() { worked && has "$1"; }
lines() { [ "$(grep -Ec -- "$1" <<<"$out")" -eq "$2" ]; }

domain_state() {
    lab_fqdnat -j domain show "$1" | jq -e --arg s "$2" 'length > 0 and all(.[]; .state == $s)'
}

# Ask for a name and wait until its gateway has answered.
settled() {
    lab_until 8 domain_state "$1" "$2"
}

# --- the story ---------------------------------------------------------------------------

ask() {
    chapter "A name is asked for"
    say "What the name server of corp.example would answer, far behind the gateway:"
    at net dig +short @198.51.100.53 web.corp.example A web.corp.example AAAA
    claim "the real addresses" has '^198\.51\.100\.10$'
    say "What the client gets from the gateway: proxy addresses, four of each family."
    at client dig +noall +answer web.corp.example A
    claim "four IPv4 proxy addresses" lines '100\.(9[6-9]|1[0-2][0-9])\.' 4
    at client dig +noall +answer web.corp.example AAAA
    claim "four IPv6 proxy addresses" lines 'fd00:2021:1111:8' 4
    settled web.corp.example confirmed || true
    at gw fqdnat domain show
    claim "the gateway has resolved the name and confirmed it" domain_state web.corp.example confirmed
}

use() {
    chapter "It is used: HTTP, UDP and ping through XDP"
    at client curl -sS4 http://web.corp.example/
    claim "HTTP over IPv4, from the gateway's address" \
        worked_with '^hello from 198\.51\.100\.10 port 80 to 198\.51\.100\.1$'
    at client curl -sS6 http://web.corp.example/
    claim "HTTP over IPv6" \
        worked_with '^hello from 2001:db8:2::10 port 80 to 2001:db8:2::1$'
    at client curl -sS4 -o /dev/null -w "'%{size_download} bytes'" http://files.corp.example/bytes/20000000
    claim "20 MB from another server" worked_with '^20000000 bytes$'
    at client "echo over UDP and back | socat -t 2 - UDP4:multi.corp.example:7"
    claim "a UDP exchange" worked_with '^over UDP and back$'
    at client ping -n -c 2 -i 0.2 -W 2 four.corp.example
    claim "ping over IPv4" worked_with '2 received'
    at client ping -n -c 2 -i 0.2 -W 2 -6 six.corp.example
    claim "ping over IPv6" worked_with '2 received'
    at gw fqdnat session show
    claim "a session for each of them" worked_with '198\.51\.100\.10'
    at gw "fqdnat proxy show | grep -E 'ADDRESS|multi|six'"
    claim "a name with two addresses has both, in turn; one without IPv4 has none there" \
        worked_with '100\.96\.[0-9.]+ +- +confirmed .*six'
}

refuse() {
    chapter "What is not allowed is refused by ICMP, not left hanging"
    say "Port 8000 is served, but the resource's filter does not permit it:"
    at client curl -sS4 -m 5 http://web.corp.example:8000/
    claim "refused" refused
    say "A name of a resource that the client has no grant for; its gateway does not set it up:"
    at client curl -sS4 -m 5 http://vault.priv.example/
    claim "refused" refused
    say "A name without an IPv6 address still has IPv6 proxy addresses; applications fail over:"
    at client curl -sS6 -m 5 http://four.corp.example/
    claim "IPv6 is unreachable" refused
    at client curl -sS -m 5 http://four.corp.example/
    claim "IPv4 works" worked
    at gw "fqdnat stats show | grep -E '^(filtered|domain_failed|no_family|icmp_sent) '"
    claim "counted by reason" lines '^[a-z_]+ +[1-9]' 4
}

fail() {
    local before address
    chapter "A domain that fails is left alone until it is asked for again"
    say "nx does not exist; the name server never answers for silent."
    at client dig +short nx.corp.example A
    at client dig +short silent.corp.example A
    claim "proxy addresses come at once, whatever the gateway will find" lines '^100\.' 4
    address=${out%%$'\n'*}
    say "A packet to a pending domain is held; when the domain fails, it is refused instead."
    at client curl -sS4 -m 8 http://silent.corp.example/
    claim "no connection" refused
    settled nx.corp.example failed || true
    settled silent.corp.example failed || true
    at gw fqdnat domain show nx.corp.example
    claim "nx failed: no such name" domain_state nx.corp.example failed
    at gw fqdnat domain show silent.corp.example
    claim "silent failed: no answer" domain_state silent.corp.example failed

    before=$(lab_asked silent)
    say "Other names are asked for, and packets still go to silent. It is not tried again:"
    at client dig +short web.corp.example A
    at client ping -n -c 2 -i 0.2 -W 1 "$address"
    claim "refused" failed
    at client dig +short six.corp.example AAAA
    sleep 2.5
    at client dig +short multi.corp.example A
    say "questions for silent at the name server: $before before, $(lab_asked silent) after"
    claim "not retried" test "$(lab_asked silent)" = "$before"

    say "Now an application asks for it again:"
    at client dig +short silent.corp.example A
    settled silent.corp.example failed || true
    lab_until 5 more_than "$before" silent || true
    say "questions for silent at the name server: $before before, $(lab_asked silent) after"
    claim "asked again, tried again" more_than "$before" silent
}

more_than() { [ "$(lab_asked "$2")" -gt "$1" ]; }

look() {
    chapter "What the kernel did"
    at gw fqdnat prog show
    claim "XDP programs on both interfaces" worked_with wan0
    at gw "fqdnat -j stats show |
            jq -r '.[] | select(.packets > 0) | [.reason, .packets, .text] | @tsv' | expand -t 17,25"
    claim "every packet that was not translated has its reason" worked_with '^translated '
    say "What the daemon said (fqdnat monitor, as it happened):"
    grep -E 'silent|nx\.' "$LAB_LOG/monitor.log" | sed 's/^/    /' || true
    claim "events of the failed domain" grep -q silent "$LAB_LOG/monitor.log"
}

# --- commands ----------------------------------------------------------------------------

prepare() {
    [ "$(id -u)" = 0 ] || die "must be root: it makes network namespaces and loads XDP programs"
    "$here/bootstrap.sh" --demo
    echo "demo.sh: building in $LAB_BUILD"
    make -s -C "$LAB_ROOT" BUILD="$LAB_BUILD" -j2 all >/dev/null
    lab_lock || die "another demo.sh is at work on the lab \"$LAB_PREFIX\""
}

start() {
    lab_up
    lab_daemon_start -v
}

look_around() {
    cat <<TEXT
The lab is up: client 192.0.2.2, gateway 192.0.2.1 | 198.51.100.1, servers 198.51.100.10 and .11.

As the client (names: web four six multi files alias empty nx silent .corp.example):
  ip netns exec $LAB_CLIENT dig web.corp.example
  ip netns exec $LAB_CLIENT curl http://web.corp.example/
  ip netns exec $LAB_CLIENT iperf3 -c files.corp.example

On the gateway:
  alias fq='nsenter --net=/run/netns/$LAB_GW $LAB_BUILD/fqdnat -s $LAB_SOCKET -b $LAB_BPFFS'
  fq domain show; fq session show; fq proxy show; fq stats show; fq prog show; fq monitor

Configuration  $LAB_CONFIG      (kill -HUP $(lab_pid fqdnatd) reloads it)
Log            $LAB_LOG/fqdnatd.log
Remove         scripts/demo.sh down
TEXT
}

story() {
    lab_spawn monitor "$LAB_GW" "$LAB_BUILD/fqdnat" -s "$LAB_SOCKET" monitor
    printf '%sfqdnat: access by name, translated by XDP%s\n' "$bold" "$plain"
    say "client 192.0.2.2 -- gateway 192.0.2.1 | 198.51.100.1 -- servers 198.51.100.10, .11"
    ask
    use
    refuse
    fail
    look
    printf '\n%sAll of it worked.%s Look around yourself: scripts/demo.sh up\n' "$green" "$plain"
}

# A part of the act that is played: act start|story|look_around
act() {
    if [ "$LAB_LAYOUT" = split ]; then
        "split_$1"
    else
        "$1"
    fi
}

main() {
    LAB_LAYOUT=box
    if [ "${1-}" = split ]; then
        LAB_LAYOUT='split'
        shift
    fi
    lab_init "${LAB_PREFIX:-fqdnat}"
    case ${1-} in
    '')
        prepare
        trap lab_down EXIT
        act start
        act story
        ;;
    up)
        prepare
        trap lab_down EXIT
        act start
        trap - EXIT
        act look_around
        ;;
    down)
        [ "$(id -u)" = 0 ] || die "must be root"
        lab_lock || die "another demo.sh is at work on the lab \"$LAB_PREFIX\""
        lab_down
        ;;
    help | -h | --help) usage ;;
    *)
        echo "demo.sh: \"$1\" is unknown; expected split, up, down, help or nothing" >&2
        exit 2
        ;;
    esac
}

main "$@"
