#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The lab itself: two side by side, and one whose script was killed in the middle.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
first=$LAB_PREFIX

# A second lab in a process of its own, which is then killed the hard way.
bash -c ". '$E2E_ROOT/scripts/lab.sh'; set -euo pipefail; lab_init '$first-b'; lab_up; lab_daemon_start
    echo up; exec sleep 600" >"$LAB_RUN/second.out" 2>&1 &
second=$!
claim_until 20 "a second lab starts beside the first" grep -q '^up$' "$LAB_RUN/second.out"
settle web.corp.example confirmed
claim_match "the first works" '^198\.51\.100\.10 ' "$(who 4 web.corp.example)"
(
    lab_init "$first-b"
    settle web.corp.example confirmed
    who 4 web.corp.example
) >"$LAB_RUN/second.who"
claim_match "the second, too" '^198\.51\.100\.10 ' "$(cat "$LAB_RUN/second.who")"

kill -9 "$second"
wait "$second" 2>/dev/null || true
claim "its script is killed, the lab is still there" test -e "/run/netns/$first-b-gw"
(
    lab_init "$first-b"
    cat "$LAB_RUN"/pids/* >"/run/$first-lab/second.pids"
    lab_down
)
claim_eq "lab_down removes its namespaces" "" "$(find /run/netns -name "$first-b-*")"
claim_not "its files" test -e "/run/$first-b-lab"
claim_not "its mounts" grep -q "$first-b" /proc/self/mounts
alive() {
    local pid
    while read -r pid _; do
        [ ! -e "/proc/$pid" ] || return 0
    done <"$LAB_RUN/second.pids"
    return 1
}
claim_not "its processes" alive
claim_match "the first goes on" '^198\.51\.100\.10 ' "$(who 4 web.corp.example)"

# One script at a time on one lab.
lock=". '$E2E_ROOT/scripts/lab.sh'; lab_init '$first'; LAB_LOCK_WAIT_S=0.1 lab_lock"
bash -c "$lock; exec sleep 600" &
holder=$!
locked() { ! bash -c "$lock"; }
claim_until 5 "a lab that is locked is not touched by another script" locked
kill "$holder"
wait "$holder" 2>/dev/null || true
claim "the lock ends with its holder" bash -c "$lock"
rm -f "/run/lock/$first-lab"
