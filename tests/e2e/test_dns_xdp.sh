#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Queries answered by the XDP programs: the same bytes as the daemon's, only for names whose packets
# pass and for those who may ask, and the daemon goes on to hear of queries.
#
# A program answers for no longer than a lease, so how many of some queries are its own depends on how fast
# they come: what must be is waited for, and what must not be is never seen.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.2/32, "2001:db8:1::2/128"]}'
LAB_DNS_XDP=on
e2e_lab
lab_address "$LAB_CLIENT" eth0 192.0.2.99/24
echo 'limits: {dns_per_client: 0}' >>"$LAB_CONFIG"
lab_daemons_start
# Change the configuration, and wait until it is in force: reload SED-EXPRESSION JQ-CONDITION
reload() {
    sed -i "$1" "$LAB_CONFIG"
    kill -HUP "$(lab_pid fqdnatd)"
    lab_until 5 config_has "$2"
}
config_has() { lab_fqdnat -j config show | jq -e "$1" >/dev/null; }

twice() { lab_client /usr/bin/python3 "$E2E_ROOT/tests/lib/dns_twice.py" "$@"; }
# Queries in a row, of one process: burst [NAME [OPTIONS...]]
BURST=10
TYPE=A
burst() {
    local name=${1:-web.corp.example}
    shift || true
    # shellcheck disable=SC2046
    lab_client dig +tries=1 +time=5 +short "$@" $(for ((i = 0; i < BURST; i++)); do
        echo "$name $TYPE"
    done) || true
}
# How many of a burst are answered by the programs.
by_program() {
    local before
    before=$(reason dns_answered)
    burst "$@" >/dev/null
    echo $(($(reason dns_answered) - before))
}
some() { [ "$(by_program "$@")" -gt 0 ]; }
none() { [ "$(by_program "$@")" -eq 0 ]; }
# But for the first, which is the daemon's if the lease is over.
most() { [ "$(by_program "$@")" -ge $((BURST - 1)) ]; }

ask web.corp.example
claim_until 5 "the domain is confirmed" state_is web.corp.example confirmed
claim_until 10 "its queries are answered by the program" most
claim_until 10 "over IPv6, too" most web.corp.example @2001:db8:1::1
TYPE=HTTPS
claim_until 10 "HTTPS, too" most
# D-02: PTR of its addresses.
TYPE=PTR
proxies=$(lab_fqdnat -j proxy show | jq -r '[.[] | select(.domain == "web.corp.example").address] | unique[]')
reverse=()
while read -r address; do
    reverse+=("$(python3 -c 'import ipaddress, sys
print(ipaddress.ip_address(sys.argv[1]).reverse_pointer)' "$address")")
done <<<"$proxies"
claim_eq "it has eight addresses" 8 "${#reverse[@]}"
for name in "${reverse[@]}"; do
    claim_until 10 "PTR: $name" most "$name"
done
claim_eq "with the name" web.corp.example. "$(burst "${reverse[0]}" | sort -u)"
TYPE=A
claim_eq "every query is answered" $((4 * BURST)) "$(burst | grep -c '^100\.')"

# D-01: the answers are the same, byte by byte.
names=web.corp.example,four.corp.example,${reverse[0]},${reverse[7]}
settle four.corp.example confirmed
before=$(reason dns_answered)
claim_match "IPv4: the same bytes from both" '^same' "$(twice 192.0.2.1 "$names" 200 1)"
claim "some of them were the program's" grown dns_answered "$before"
claim_match "IPv6: the same bytes from both" '^same' "$(twice 2001:db8:1::1 "$names" 100 2)"

# D-03: the daemon hears of queries that it does not answer: it asks the gateway anew.
heard=$(reason dns_heard)
heard() { burst >/dev/null && grown dns_heard $((heard + 3)); }
claim_until 10 "the daemon hears of queries" heard
claim_until 5 "and the domain stays confirmed" state_is web.corp.example confirmed

# Only names whose packets pass: what is pending or has failed is the daemon's.
lab_mute slow
lab_zone set slow 60 A 198.51.100.10
ask slow.corp.example
claim "a pending name is not answered" none slow.corp.example
lab_unmute slow
claim_until 10 "confirmed, it is" most slow.corp.example
lab_zone set flip 5 A 198.51.100.10
settle flip.corp.example confirmed
claim_until 10 "another name is answered" most flip.corp.example
lab_zone unset flip A
flip_fails() {
    ask flip.corp.example
    state_is flip.corp.example failed
}
claim_until 15 "the name is gone: the domain fails" flip_fails
claim "a failed name is not answered" none flip.corp.example

# Only clients.
claim_eq "a stranger is refused by the daemon" REFUSED \
    "$(lab_client dig -b 192.0.2.99 +tries=1 +time=5 web.corp.example A | sed -n 's/.*status: \([A-Z]*\),.*/\1/p')"
claim "no query of a stranger is the program's" none web.corp.example -b 192.0.2.99

# What is no name of ours never is.
claim "names that go upstream are not answered" none www.example

# Whoever answers, every query is counted once, whatever becomes of it.
counted() {
    lab_fqdnat -j stats show | jq '[.[] | select(.reason | IN("dns_answered", "dns_local", "dns_forwarded", "dns_refused",
        "dns_malformed", "dns_overload", "pool_exhausted")) | .packets] | add'
}
all_counted() { [ "$(counted)" -eq "$1" ]; }
before=$(counted)
burst >/dev/null
burst web.corp.example @2001:db8:1::1 >/dev/null
burst www.example >/dev/null
burst web.corp.example -b 192.0.2.99 >/dev/null
TYPE=PTR burst "${reverse[0]}" >/dev/null
claim_until 10 "each query is in one reason" all_counted $((before + 5 * BURST))

# An address that is given back is nobody's.
TYPE=PTR
lab_fqdnat domain forget web.corp.example >/dev/null
claim "its name is not told any more" none "${reverse[0]}"
TYPE=A
settle web.corp.example confirmed
claim_until 10 "asked for again, it is answered" most

# With a reload the programs know of nothing that is not in force any more.
reload 's/xdp: on/xdp: off/' '.edge.dns.xdp == "off"'
claim "switched off: the daemon's again" none
claim_eq "and answered" 4 "$(lab_client dig +short web.corp.example A | wc -l)"
reload 's/xdp: off/xdp: on/' '.edge.dns.xdp == "on"'
claim_until 10 "and on again" most
reload 's/\*\.corp\.example/*.gone.example/' '[.resources[].address] | index("*.gone.example")'
claim "a name that is published no more is not answered" none
reload 's/\*\.gone\.example/*.corp.example/' '[.resources[].address] | index("*.corp.example")'
claim_until 10 "published again, it is" most

reload 's|192.0.2.2/32|192.0.2.3/32|' '[.clients[].prefixes[]] | index("192.0.2.3/32")'
claim "who is a client no more is not answered" none
claim_until 10 "the others are" most web.corp.example @2001:db8:1::1
reload 's|192.0.2.3/32|192.0.2.2/32|' '[.clients[].prefixes[]] | index("192.0.2.2/32")'
claim_until 10 "a client again, it is" most

# Without the daemon the names end within ten seconds, and begin again with it.
BURST=1
lab_daemon_kill
claim_until 30 "no daemon: nothing is answered for long" none
claim "nor ever again" none
BURST=10
lab_daemon_start
claim_until 10 "the next daemon lets the program answer again" most
claim_eq "no checksum was wrong" 0 "$(checksum_errors)"
