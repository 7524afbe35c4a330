#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A new daemon replaces the programs of the old one under load: not a packet is lost.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle web.corp.example confirmed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)

program_ids() { lab_fqdnat -j prog show | jq -c '[.[] | {dev, id}] | sort'; }

old=$(program_ids)
lab_client ping -n -q -i 0.002 -c 3000 "$v4" >"$LAB_RUN/ping4.out" &
ping4=$!
lab_client ping -n -q -i 0.002 -c 3000 "$v6" >"$LAB_RUN/ping6.out" &
ping6=$!
for _ in 1 2 3; do
    lab_daemon_stop
    lab_daemon_start
done
claim "the load was still there at the end" kill -0 "$ping4"
wait "$ping4" "$ping6" || true
claim_match "three restarts: no IPv4 packet is lost" ' 0% packet loss' "$(cat "$LAB_RUN/ping4.out")"
claim_match "three restarts: no IPv6 packet is lost" ' 0% packet loss' "$(cat "$LAB_RUN/ping6.out")"
claim "the programs are new ones" test "$(program_ids)" != "$old"
claim_eq "one program on each interface" 2 "$(lab_fqdnat -j prog show | jq length)"
claim_eq "two sessions, as before" 2 "$(lab_fqdnat -j session show | jq '[.[] | select(.protocol | test("icmp"; "i"))] | length')"
