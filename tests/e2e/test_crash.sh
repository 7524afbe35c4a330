#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The daemon is killed in the middle of traffic: nothing stops; a new one takes over what is there.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle files.corp.example confirmed
settle web.corp.example confirmed
settle nx.corp.example failed

snapshot() { lab_fqdnat -j "$1" show | jq -cS "$2"; }
domains='[.[] | {domain, state, proxy_addresses}] | sort'
proxies='[.[] | {address, domain, real_address}] | sort'

address=$(address web.corp.example)
files=$(address files.corp.example)
claim_eq "a UDP session" "answers 1" "$(probe udp "$address" 7 --from-port 40001)"
claim_until 5 "the domains are confirmed" state_is files.corp.example confirmed
lab_until 5 state_is web.corp.example confirmed
before_domains=$(snapshot domain "$domains")
before_proxies=$(snapshot proxy "$proxies")

# The run goes on for 6 s; the daemon dies after 2 s.
iperf -J -c "$files" -t 6 -i 0.5 >"$LAB_RUN/iperf.json" &
running=$!
sleep 2
lab_daemon_kill
claim "the daemon is dead" lab_gone fqdnatd

claim_eq "an established session goes on" "answers 1" "$(probe udp "$address" 7 --from-port 40001)"
claim_eq "new sessions to known domains are made" "answers 1" "$(probe udp "$address" 7 --from-port 40002)"
claim "ping does not lose a packet" lab_client ping -n -c 20 -i 0.01 -W 2 "$address"

wait "$running"
claim "the transfer ended without an error" jq -e '.error == null' "$LAB_RUN/iperf.json"
# shellcheck disable=SC2016 # jq's variables
claim "its throughput after the death is of the same order as before" jq -e '
    [.intervals[].sum.bits_per_second] as $b
    | ($b[1:4] | sort | .[1]) as $before
    | ($b[6:11] | sort | .[2]) > $before / 10' "$LAB_RUN/iperf.json"

claim "sessions are shown without the daemon" test "$(sessions)" -ge 3
claim "counters are shown without the daemon" grown translated 100
claim "proxy addresses are shown without the daemon" test "$(lab_fqdnat -j proxy show | jq length)" -ge 8

count=$(lab_fqdnat -j session show proxy "$address" | jq '[.[] | select(.client_port == 40001)] | length')
lab_daemon_start

claim_eq "started again: the same domains, states and proxy addresses" \
    "$before_domains" "$(snapshot domain "$domains")"
claim_eq "the same translations" "$before_proxies" "$(snapshot proxy "$proxies")"
claim_eq "the same sessions" "$count" \
    "$(lab_fqdnat -j session show proxy "$address" | jq '[.[] | select(.client_port == 40001)] | length')"
claim_eq "that go on" "answers 1" "$(probe udp "$address" 7 --from-port 40001)"
claim_eq "DNS answers with the same address" "$address" "$(address web.corp.example)"
settle four.corp.example confirmed
claim "a new domain gets addresses of its own" one_domain_each
claim_eq "a failed domain is not retried by the restart" failed \
    "$(lab_fqdnat -j domain show nx.corp.example | jq -r '.[0].state')"
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
