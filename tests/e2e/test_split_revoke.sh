#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A grant is withdrawn at the gateway during a transfer through edge and gateway: it stops with the next
# packet. Granted again, it works again. A filter that a reload narrows does the same.
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

split_up
claim "files is confirmed" settle files.corp.example confirmed
claim "any is confirmed" settle any.open.example confirmed
proxy=$(address files.corp.example)
other=$(address any.open.example)

# Bytes that the transfer's session has carried to the server, as the gateway counts them.
transferred() {
    lab_fqdnat gw-a -j session show | jq '[.[] | select(.port == 5201) | .bytes_out] | add // 0'
}
beyond() { [ "$(transferred)" -gt "$1" ]; }

# A transfer that runs until it is stopped: transfer NAME
transfer() {
    lab_spawn "$1" "$LAB_CLIENT" iperf3 --forceflush -c "$proxy" -t 60 -b 200M \
        --snd-timeout 3000 --connect-timeout 3000
}

# Packets that the server gets for iperf3.
lab_net nft -f - <<'NFT'
table inet far {
    counter passed { }
    chain input {
        type filter hook input priority 0
        ip saddr 198.51.100.1 tcp dport 5201 counter name passed
    }
}
NFT
passed() { lab_net nft -j list counter inet far passed | jq '.nftables[] | .counter? // empty | .packets'; }

# --- a grant -----------------------------------------------------------------------------

flow beside "$other"
transfer upload
claim_until 10 "a transfer runs" beyond 1000000
before=$(at gw-a reason not_granted)
claim "the grant is withdrawn" lab_fqdnat gw-a grant del client lan-a resource intranet
count=$(passed)
claim_until 10 "the transfer ends" lab_gone upload
claim "nothing has reached the server since, but what was on its way" test "$(passed)" -le $((count + 100))
claim "they were refused" at gw-a grown not_granted "$before"
claim "another resource's connection goes on" flow_goes_on beside
claim_match "a new connection is refused" '^icmp 3 1?[03] ' "$(probe tcp "$proxy" 5201)"

claim "granted again" lab_fqdnat gw-a grant add client lan-a resource intranet
opens() { ask "$1" && state_is "$1" confirmed; }
claim_until 8 "the name is confirmed again" opens files.corp.example
claim_eq "connections are made" connected "$(probe tcp "$proxy" 7)"

# --- a filter ----------------------------------------------------------------------------

# The iperf3 server is still busy with the one that was cut off, until it notices.
count=$(passed)
lab_stop iperf3
lab_spawn iperf3 "$LAB_NET" iperf3 --server --bind 198.51.100.11
claim_until 5 "the server is started again" lab_listens 5201 2
transfer again
more() { [ "$(passed)" -gt "$1" ]; }
claim_until 10 "another transfer runs" more $((count + 1000))
flow narrow "$proxy"
claim_until 5 "beside a connection to another port" flow_beyond narrow 3
before=$(at gw-a reason filtered)
LAB_FILTERS='[{tcp: 80}, {tcp: 7}, {udp: 7}, icmp]'
lab_config gw-a
kill -HUP "$(lab_pid fqdnatd-gw-a)"
claim_until 5 "the filter is narrowed by a reload" grep -q reloaded "$LAB_LOG/fqdnatd-gw-a.log"
count=$(passed)
claim_until 10 "the transfer ends" lab_gone again
claim "nothing has reached the server since, but what was on its way" test "$(passed)" -le $((count + 100))
claim "they were refused" at gw-a grown filtered "$before"
claim "a port that the filter still permits goes on" flow_goes_on narrow
claim_eq "new connections to the other are refused" "icmp 3 13 $proxy" "$(probe tcp "$proxy" 5201)"
