#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A path that loses control messages: names that were never asked for before are asked once each and
# connected to at once, from both edges, and every connection succeeds; names that do not exist cost no
# message after their failure. The time to the first byte is printed.
#
# LOSS_NAMES=100 asks for more names (20), LOSS_PERCENTS="80" with other losses ("30 60").
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

names=${LOSS_NAMES:-20}
read -ra percents <<<"${LOSS_PERCENTS:-30 60}"

# Names of one side, half of them each: names_of PREFIX FIRST
names_of() {
    local i
    for ((i = $2; i < names; i += 2)); do
        echo "$1n$i.open.example"
    done
}

# Connections to fresh names from both edges at the same time: fresh PREFIX
fresh() {
    local s first=0
    for s in a b; do
        # Longer than Linux tries to connect, so that it gives up by itself.
        # shellcheck disable=SC2046 # words
        lab_on "client-$s" lab_client /usr/bin/python3 "$E2E_ROOT/tests/lib/fresh.py" --timeout 140 \
            $(names_of "$1" "$first") >"$LAB_RUN/fresh-$s" &
        first=1
    done
    wait_for_jobs
    sort -n -k 3 "$LAB_RUN"/fresh-[ab] >"$LAB_RUN/fresh"
}

wait_for_jobs() {
    local job
    for job in $(jobs -p); do
        wait "$job" || true
    done
}

distribution() {
    awk -v text="$1" '$2 == "ok" { t[n++] = $3 }
        function at(q) { return t[int((n - 1) * q + 0.5)] }
        END { printf "# %s: %d connections, first byte after %.2f s at best, 10 %% %.2f, 50 %% %.2f, " \
            "90 %% %.2f, 99 %% %.2f, at worst %.2f s\n", text, n, at(0), at(.1), at(.5), at(.9), at(.99), at(1) }' \
        "$LAB_RUN/fresh"
}

all_at() {
    local percent=$1 arrived lost
    lab_loss "$percent"
    arrived=$(control_total arrived) lost=$(control_total lost)
    fresh "p$percent"
    claim_eq "$percent % loss: $names names asked once and connected to at once, all succeed" \
        "$names" "$(grep -c ' ok ' "$LAB_RUN/fresh" || true)"
    grep -v ' ok ' "$LAB_RUN/fresh" | sed 's/^/# /' || true
    distribution "$percent % loss"
    arrived=$(($(control_total arrived) - arrived)) lost=$(($(control_total lost) - lost))
    echo "# control messages: $arrived arrived, $lost of them were lost"
    claim "messages were lost" test "$lost" -gt 0
    intervals "p$percent"
    echo "# asked $(wc -l <"$LAB_RUN/intervals") times again, after $(sed -n '1p' "$LAB_RUN/intervals") to" \
        "$(sed -n '$p' "$LAB_RUN/intervals") s"
    # Where more is lost, a gateway may seem silent for a while; then its names are asked for at once.
    # shellcheck disable=SC2016 # awk's $ are not the shell's
    # A busy machine may stop the edge between its look at the clock and its message.
    [ "$percent" -gt 30 ] ||
        claim "never twice within 2 s" awk '$1 < 1.5 { exit 1 }' "$LAB_RUN/intervals"
}

# The times between two AssignedIps for one name to one gateway, as seen on the path: intervals PREFIX
intervals() {
    jq -r --arg p "$1" 'select(.event == "assigned_ips" and (.domain | startswith($p))) |
        "\(.source) \(.destination) \(.domain) \(.time)"' "$LAB_LOG"/watch-[ab].log |
        awk '{ key = $1 $2 $3 } key in last { printf "%.2f\n", $4 - last[key] } { last[key] = $4 }' |
        sort -n >"$LAB_RUN/intervals"
}

control_total() {
    local node
    for node in "${LAB_EDGES[@]}" "${LAB_GATEWAYS[@]}"; do
        lab_control "$node" "$1"
    done | jq -s add
}

# --- names that do not exist -------------------------------------------------------------

ghosts=(nx1.corp.example nx2.corp.example nx3.corp.example nx4.corp.example)

ghosts_fail() {
    local name
    for name in "${ghosts[@]}"; do
        state_is "$name" failed || return 1
    done
}

# AssignedIps for names of the ghosts' kind that have left the edge.
asked() { grep -c '"event": "assigned_ips".*"domain": "nx' "$LAB_LOG/watch-a.log"; }

# Wait until the log has all that has left the edge before now: it has when a later question is there.
log_is_complete() {
    ask "$1.corp.example"
    claim_until 5 "the log has what has left the edge before $1" \
        grep -q "\"event\": \"assigned_ips\".*\"domain\": \"$1" "$LAB_LOG/watch-a.log"
}

# Names that do not exist, while messages are lost.
no_message_after_failure() {
    local name address before
    lab_client /usr/bin/python3 "$E2E_ROOT/tests/lib/fresh.py" --timeout 60 "${ghosts[@]}" \
        >"$LAB_RUN/ghosts" || true
    claim_eq "connections to names that do not exist end with an error" "${#ghosts[@]}" \
        "$(grep -c ' unreachable ' "$LAB_RUN/ghosts" || true)"
    claim_until 5 "all of them have failed" ghosts_fail
    log_is_complete before
    before=$(asked)
    claim "it took messages" test "$before" -ge "${#ghosts[@]}"
    echo "# ${#ghosts[@]} names that do not exist: $before AssignedIps until they had failed"

    # Packets for 5 s, more than two intervals of resending, and questions for other names.
    for name in "${ghosts[@]}"; do
        # Its addresses are known without a question.
        address=$(lab_fqdnat -j domain show "$name" | jq -r '.[0].proxy_addresses[0]')
        claim_eq "$name is refused at once" "icmp 3 0 $address" "$(probe tcp "$address" 80)"
        lab_client ping -n -i 0.5 -c 10 -W 10 "$address" >"$LAB_RUN/ping-$name" &
    done
    for name in web four files multi; do
        ask "$name.corp.example"
    done
    wait_for_jobs
    claim_eq "every ping is refused" 40 "$(cat "$LAB_RUN"/ping-* | grep -c 'Destination Net Unreachable')"
    log_is_complete after
    claim_eq "no AssignedIps after their failure" "$before" "$(asked)"
    claim "they are still failed" ghosts_fail
}

split_up
for s in a b; do
    lab_spawn "watch-$s" "$LAB_PREFIX-edge-$s" /usr/bin/python3 "$E2E_ROOT/tests/lib/control.py" watch path0
    claim_until 5 "the messages of edge-$s are watched" grep -q ready "$LAB_LOG/watch-$s.log"
done
for percent in "${percents[@]}"; do
    all_at "$percent"
    [ "$percent" != "${percents[0]}" ] || no_message_after_failure
done
