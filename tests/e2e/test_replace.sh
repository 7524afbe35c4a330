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
# Whether none is missing before the last one that was answered; when ping ends, the last ones are on
# their way.
nothing_lost() {
    awk '
        match($0, /icmp_seq=[0-9]+/) { n++; seq = substr($0, RSTART + 9, RLENGTH - 9) + 0; if (seq > last) last = seq }
        / packets transmitted/ { sent = $1 }
        END {
            printf "%d of %d answered, the last one is %d\n", n, sent, last
            exit n < 100 || n != last || last < sent - 20
        }' "$1"
}

lab_spawn ping4 "$LAB_CLIENT" ping -n -i 0.005 "$v4"
lab_spawn ping6 "$LAB_CLIENT" ping -n -i 0.005 "$v6"
for _ in 1 2 3; do
    lab_daemon_stop
    lab_daemon_start
done
kill -HUP "$(lab_pid fqdnatd)"
lab_until 10 grep -q 'configuration reloaded' "$LAB_LOG/fqdnatd.log"
for ping in ping4 ping6; do
    kill -INT "$(lab_pid "$ping")"
    lab_until 5 lab_gone "$ping"
    claim "three restarts and a reload: $ping has not lost a packet" nothing_lost "$LAB_LOG/$ping.log"
done
claim "the programs are new ones" test "$(program_ids)" != "$old"
claim_eq "one program on each interface" 2 "$(lab_fqdnat -j prog show | jq length)"
claim_eq "two sessions, as before" 2 "$(lab_fqdnat -j session show | jq '[.[] | select(.protocol | test("icmp"; "i"))] | length')"
