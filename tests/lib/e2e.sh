# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# For the end-to-end tests: a lab of their own for each, claims that print TAP lines, questions to
# the daemon. Source it first; then the lab's LAB_ variables may be set and e2e_up called.
#
# A test never sleeps for luck: it waits for the event with a deadline (claim_until). Whatever
# happens, the lab is removed when the test ends.
#
# Programs run natively unless a test says otherwise (mode auto takes tc here: the lab is made of veth).
# test_tc_X.sh is a link to test_X.sh: the same at tc. So is test_generic_X.sh: in generic mode.

[[ ${0##*/} != test_tc_* ]] || LAB_MODE=tc
[[ ${0##*/} != test_generic_* ]] || LAB_MODE=generic
LAB_MODE=${LAB_MODE:-native}

E2E_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/lab.sh
. "$E2E_ROOT/scripts/lab.sh"

e2e_count=0
e2e_failed=0
e2e_name=$(basename "$0" .sh)

# --- claims ------------------------------------------------------------------------------

e2e_result() {
    e2e_count=$((e2e_count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $e2e_count - $2"
    else
        e2e_failed=$((e2e_failed + 1))
        echo "not ok $e2e_count - $2"
    fi
}

# claim TEXT COMMAND...: holds if the command succeeds.
claim() {
    local text=$1 out status=0
    shift
    out=$("$@" 2>&1) || status=$?
    e2e_result "$status" "$text"
    if [ "$status" -ne 0 ]; then
        printf '%s\n' "\$ $*" "status $status" "$out" | tail -n 30 | sed 's/^/# /'
    fi
}

# claim_not TEXT COMMAND...: holds if the command fails.
claim_not() {
    local text=$1
    shift
    claim "$text" e2e_not "$@"
}

# shellcheck disable=SC2317 # called by claim
e2e_not() { ! "$@"; }

# claim_eq TEXT WANTED GOT
claim_eq() {
    local status=0
    [ "$2" = "$3" ] || status=1
    e2e_result "$status" "$1"
    [ "$status" -eq 0 ] || printf '%s\n' "expected: $2" "got:      $3" | sed 's/^/# /'
}

# claim_match TEXT REGEX GOT
claim_match() {
    local status=0
    [[ $3 =~ $2 ]] || status=1
    e2e_result "$status" "$1"
    [ "$status" -eq 0 ] || printf '%s\n' "expected to match: $2" "got: $3" | sed 's/^/# /'
}

# claim_until SECONDS TEXT COMMAND...: holds if the command succeeds within the time (as lab_until has it).
claim_until() {
    local seconds=$1 text=$2
    shift 2
    if lab_until "$seconds" "$@"; then
        e2e_result 0 "$text"
    else
        claim "$text" "$@"
    fi
}

# skip TEXT REASON
skip() {
    e2e_count=$((e2e_count + 1))
    echo "ok $e2e_count - $1 # SKIP $2"
}

# --- the lab -----------------------------------------------------------------------------

# The lab without a daemon; then e2e_up with one.
e2e_lab() {
    lab_init "fqdnat-$$-${e2e_name#test_}"
    trap e2e_end EXIT
    lab_up
}

e2e_up() {
    e2e_lab
    lab_daemons_start "$@"
}

# shellcheck disable=SC2317 # called by trap
e2e_end() {
    local status=$? log
    trap - EXIT
    set +e
    if [ "$status" -ne 0 ]; then
        e2e_result 1 "$e2e_name ran to its end (stopped with status $status)"
    fi
    if [ "$e2e_failed" -ne 0 ]; then
        for log in "$LAB_LOG"/fqdnatd*.log; do
            [ -e "$log" ] || continue
            echo "# the daemon's log ends with: ($log)"
            tail -n 25 "$log" 2>/dev/null | sed 's/^/# /'
        done
    fi
    [ -z "${LAB_RUN-}" ] || lab_down
    [[ $(ip netns list) != *"fqdnat-$$-"* ]] || e2e_result 1 "no namespace is left behind"
    echo "1..$e2e_count"
    exit $((e2e_failed > 0))
}

# --- questions and traffic ---------------------------------------------------------------

# A proxy address of a name, as an application would get it: address NAME [A|AAAA]
address() {
    lab_client dig +short +tries=1 +time=20 "$1" "${2:-A}" | head -n 1
}

ask() {
    lab_client dig +short +tries=1 +time=20 "$1" "${2:-A}" >/dev/null
}

# Whether every entry of a domain is in a state: state_is NAME STATE
state_is() {
    lab_fqdnat -j domain show "$1" | jq -e --arg s "$2" 'length > 0 and all(.[]; .state == $s)'
}

# Ask for a name and wait for the gateway's answer: settle NAME STATE
settle() {
    ask "$1"
    lab_until 8 state_is "$1" "$2" || {
        echo "# $1 is not $2: $(lab_fqdnat -j domain show "$1" 2>&1)"
        return 1
    }
}

# A value of every row: values OBJECT KEY, one a line
values() { lab_fqdnat -j "$1" show | jq -r --arg k "$2" '.[][$k]'; }

# Packets counted for a reason.
reason() {
    lab_fqdnat -j stats show | jq --arg r "$1" '[.[] | select(.reason == $r) | .packets] | add // 0'
}

# Whether a reason's count has grown beyond a number: grown REASON NUMBER
grown() { [ "$(reason "$1")" -gt "$2" ]; }

# P-04: whether every proxy address belongs to one domain only.
one_domain_each() {
    lab_fqdnat -j proxy show | jq -e 'group_by(.address) |
        length > 0 and all(.[]; [.[].domain] | unique | length == 1)'
}

sessions() { lab_fqdnat -j session show "$@" | jq length; }

probe() { lab_client /usr/bin/python3 "$E2E_ROOT/tests/lib/probe.py" "$@" || true; }

# The resolver's time where a name is pending until the DNS server may answer (lab_unmute): it is asked at
# once, after 4 s and after 12 s, so that also a slow machine's tools see what is held before the last time.
# shellcheck disable=SC2034 # for the tests
E2E_HELD_S=28

# Addresses that a traceroute has seen, in their order: hops ARGUMENT...
# With TCP over IPv6, traceroute 2.1 misses what its socket has got, once in 50 times, through the kernel's
# own forwarding too: what has a gap is repeated.
hops() {
    local seen
    for _ in 1 2 3; do
        seen=$(lab_client traceroute -n -q 1 -w 10 -m 8 "$@" |
            awk 'NR > 1 {printf "%s%s", sep, $2; sep = " "}')
        [[ "$* $seen" == *"-T "*"*"* ]] || break
    done
    echo "$seen"
}

# iperf3 at the client, when the servers have ended what was before: one that is busy refuses, and between
# two runs it does not listen. iperf ARGUMENT...
E2E_IPERF_AT=() # where servers are
iperf() {
    iperf_rest
    lab_client timeout 60 iperf3 "$@"
}
iperf_rest() {
    local place
    for place in "$LAB_NET" "${E2E_IPERF_AT[@]}"; do
        lab_until 10 iperf_rests "$place" || true
    done
}
iperf_rests() {
    ip netns exec "$1" ss -Htan 'sport = :5201' | awk '
        $1 == "LISTEN" { servers++ }
        $1 ~ /^(ESTAB|SYN-RECV|CLOSE-WAIT)$/ { busy++ }
        END { exit servers != 2 || busy }'
}

# The page that says who answered whom: who FAMILY(4|6) NAME
who() { lab_client curl -sS "-$1" -m 30 "http://$2/who"; }

# Checksum errors that the endpoints have counted so far, all protocols.
checksum_errors() {
    local place
    for place in lab_client lab_net; do
        $place nstat -asz --json
    done | jq -s '[.[].kernel | to_entries[] | select(.key | endswith("InCsumErrors")) | .value] | add'
}
