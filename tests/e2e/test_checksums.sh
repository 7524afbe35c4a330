#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Bulk TCP and UDP in both directions and both families: it flows, and no endpoint counts a checksum error.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

seconds=${IPERF_SECONDS:-2}
e2e_up
settle files.corp.example confirmed
v4=$(address files.corp.example)
v6=$(address files.corp.example AAAA)

# What a connection gets through on a machine that has other things to do, and not if it loses much of what
# it sends: Mbit/s.
limit=4

# transfer TEXT ARGUMENT...: iperf3 runs, and the receiver gets that much.
transfer() {
    local text=$1
    shift
    iperf -J -t "$seconds" "$@" >"$LAB_RUN/iperf.json" || true
    claim "$text: ends without an error" jq -e '.error == null' "$LAB_RUN/iperf.json"
    # shellcheck disable=SC2016 # jq's variable
    claim "$text: at least $limit Mbit/s arrive" jq -e --argjson limit "$limit" \
        '(.end.sum_received // .end.sum).bits_per_second > $limit * 1000000' "$LAB_RUN/iperf.json"
}

transfer "TCP out, IPv4" -c "$v4"
transfer "TCP in, IPv4" -c "$v4" -R
transfer "TCP out, IPv6" -c "$v6"
transfer "TCP in, IPv6" -c "$v6" -R
transfer "UDP out, IPv4" -c "$v4" -u -b 20M -l 1400
transfer "UDP in, IPv4" -c "$v4" -u -b 20M -l 1400 -R
transfer "UDP out, IPv6" -c "$v6" -u -b 20M -l 1400
transfer "UDP in, IPv6" -c "$v6" -u -b 20M -l 1400 -R
transfer "TCP, four streams in both directions" -c "$v4" -P 4 --bidir

# An odd length, one byte, and without checksum offload at the endpoints.
claim_eq "an odd number of bytes" 1234567 "$(lab_client curl -sS -m 10 "http://$v4/bytes/1234567" | wc -c)"
claim "ping with an odd length" lab_client ping -n -c 2 -i 0.1 -s 1231 "$v4"
claim "ping with an odd length, IPv6" lab_client ping -n -c 2 -i 0.1 -s 1231 "$v6"
lab_client ethtool -K eth0 tx off >/dev/null
lab_net ethtool -K eth0 tx off >/dev/null
transfer "TCP without offload" -c "$v4"
transfer "UDP without offload" -c "$v6" -u -b 20M -l 1399

claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"
