#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Limits: a full map of translations, a full session table, a client's quota, an exhausted pool. New ones are refused and counted, what is
# there stays, also when a reload changes them.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_SESSIONS='{max: 18, per_client: 12}'
# Room for one domain: .0 is never used.
LAB_POOL4=100.96.0.0/29
LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.2/32, "2001:db8:1::/64"]}
  - {name: other, prefixes: [192.0.2.99/32]}'
LAB_GRANTS='  - {client: lan, resource: intranet}
  - {client: other, resource: intranet}'
e2e_up
lab_address "$LAB_CLIENT" eth0 192.0.2.99/24

# No room for translations: a name that they are not set for is not Active, whatever it resolves to. One box has room for
# as many as its edge, so somebody else takes it away: how many there may be (struct proxy_usage.xlat_max) stands behind the
# events, times and pools (2048, 56 and 64 bytes) and three other numbers of the map "user".
XLAT_MAX_AT=2192
translations() {
    local map=$LAB_BPFFS/maps/user bytes
    bytes=$(bpftool -j map lookup pinned "$map" key 0 0 0 0 |
        jq -r --argjson at $XLAT_MAX_AT --argjson max "$1" \
            '.value | .[:$at] + $max + .[$at + 8:] | join(" ")')
    # shellcheck disable=SC2086 # a byte a word
    bpftool map update pinned "$map" key 0 0 0 0 value $bytes
}
before=$(bpftool -j map lookup pinned "$LAB_BPFFS/maps/user" key 0 0 0 0 | jq -c ".value[$XLAT_MAX_AT:$XLAT_MAX_AT + 8]")
claim_eq "there is room for the translations of two domains" '["0x10","0x00","0x00","0x00","0x00","0x00","0x00","0x00"]' "$before"
claim "there is none any more" translations '["0","0","0","0","0","0","0","0"]'
claim "a name that it has no room for is failed" settle web.corp.example failed
proxy=$(lab_fqdnat -j domain show web.corp.example | jq -r '.[0].proxy_addresses[0]')
claim_eq "its packets are refused" "icmp 3 0 $proxy" "$(probe udp "$proxy" 7)"
claim "with room again" translations "$before"
claim "it is confirmed when it is asked for" settle web.corp.example confirmed
proxy=$(address web.corp.example)

# The client's quota.
for port in {40001..40012}; do
    probe udp "$proxy" 7 --from-port "$port"
done >"$LAB_RUN/answers"
claim_eq "twelve sessions of one client" 12 "$(grep -c 'answers 1' "$LAB_RUN/answers")"
claim_eq "the thirteenth is refused" "icmp 3 13 $proxy" "$(probe udp "$proxy" 7 --from-port 40013)"
claim "counted as quota" grown quota 0
claim_eq "its sessions go on" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"

# The whole table.
for port in {40001..40006}; do
    probe udp "$proxy" 7 --from 192.0.2.99 --from-port "$port"
done >"$LAB_RUN/answers"
claim_eq "another client gets what is left" 6 "$(grep -c 'answers 1' "$LAB_RUN/answers")"
claim_eq "until the table is full" "icmp 3 13 $proxy" "$(probe udp "$proxy" 7 --from 192.0.2.99 --from-port 40007)"
claim "counted as table_full" grown table_full 0
for port in {40001..40012}; do
    probe udp "$proxy" 7 --from-port "$port"
done >"$LAB_RUN/answers"
claim_eq "no live session was touched" 12 "$(grep -c 'answers 1' "$LAB_RUN/answers")"
claim_eq "eighteen sessions" 18 "$(sessions)"

# Flushed, there is room again.
claim "one client's sessions are flushed" lab_fqdnat session flush client 192.0.2.2
claim_eq "the other's stay" 6 "$(sessions)"
claim_eq "new ones are made" "answers 1" "$(probe udp "$proxy" 7 --from-port 40013)"

# A reload changes both limits at once, and touches no session.
limits_are() {
    lab_fqdnat -j client show | jq -e --argjson q "$1" 'all(.[]; .sessions_max == $q)'
}
reload_with() {
    LAB_SESSIONS=$1
    lab_config
    kill -HUP "$(lab_pid fqdnatd)"
}
reload_with '{max: 18, per_client: 3}'
claim_until 5 "a reload changes the quota of every client" limits_are 3
before=$(reason quota)
for port in {40013..40016}; do
    probe udp "$proxy" 7 --from-port "$port"
done >"$LAB_RUN/answers"
claim_eq "three sessions of one client" 3 "$(grep -c 'answers 1' "$LAB_RUN/answers")"
claim_eq "the fourth is refused" "icmp 3 13 $proxy" "$(tail -n 1 "$LAB_RUN/answers")"
claim "counted as quota" grown quota "$before"
claim_eq "another that has more keeps them" "answers 1" \
    "$(probe udp "$proxy" 7 --from 192.0.2.99 --from-port 40004)"
reload_with '{max: 16, per_client: 16}'
claim_until 5 "it can be raised again" limits_are 16
before=$(reason table_full)
for port in {40016..40023}; do
    probe udp "$proxy" 7 --from-port "$port"
done >"$LAB_RUN/answers"
claim_eq "more sessions are made, as many as the smaller table takes" 7 \
    "$(grep -c 'answers 1' "$LAB_RUN/answers")"
claim_eq "then it is full" "icmp 3 13 $proxy" "$(tail -n 1 "$LAB_RUN/answers")"
claim "counted as table_full" grown table_full "$before"

# P-10: the pool.
status() { lab_client dig +tries=1 +time=20 "$1" A | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }
claim_eq "a second domain finds the pool exhausted" SERVFAIL "$(status four.corp.example)"
claim "counted" grown pool_exhausted 0
claim_eq "the first has its addresses" "$proxy" "$(address web.corp.example)"
claim "nothing was handed out twice" one_domain_each
claim "limits are shown" lab_fqdnat stats limits
