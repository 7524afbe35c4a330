#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A next hop whose neighbour is not known yet: the packet arrives all the same.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle web.corp.example confirmed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)

# The others do not ask for the gateway (Linux does, some time after a packet), which would know them then.
for netns in "$LAB_CLIENT" "$LAB_NET"; do
    lab_sysctl "$netns" net/ipv4/neigh/eth0/delay_first_probe_time=3600 \
        net/ipv6/neigh/eth0/delay_first_probe_time=3600
done
forget_neighbours() {
    ip -n "$LAB_GW" -4 neigh flush all
    ip -n "$LAB_GW" -6 neigh flush all
}

# UDP has no retransmission: one datagram that is lost, and there is no answer. Five at once, so that
# more than one meets the unknown neighbour.
forget_neighbours
claim_eq "IPv4: nothing is lost" "answers 1 2 3 4 5" "$(probe udp "$v4" 7 --count 5)"
forget_neighbours
claim_eq "IPv6: nothing is lost" "answers 1 2 3 4 5" "$(probe udp "$v6" 7 --count 5)"
if [ "$LAB_MODE" = tc ]; then
    claim_eq "the kernel kept them while the neighbour was resolved" 0 "$(reason translated_slow)"
else
    claim "they went through the kernel while the neighbour was resolved" grown translated_slow 1
fi

forget_neighbours
claim "the first ping arrives, IPv4" lab_client ping -n -c 1 -W 10 "$v4"
forget_neighbours
claim "the first ping arrives, IPv6" lab_client ping -n -c 1 -W 10 "$v6"
forget_neighbours
# What would be sent again is dropped where it leaves.
lab_client nft -f - <<'NFT'
table inet once {
    chain output {
        type filter hook output priority 0
        tcp dport 80 tcp flags & (syn | ack) == syn numgen inc mod 1000 != 0 drop
    }
}
NFT
claim_eq "the first SYN arrives" connected "$(probe tcp "$v4" 80)"
lab_client nft delete table inet once

# A live session whose neighbours are forgotten in both directions.
claim_eq "a session" "answers 1" "$(probe udp "$v4" 7 --from-port 40001)"
forget_neighbours
claim_eq "goes on when neighbours are forgotten" "answers 1 2 3" \
    "$(probe udp "$v4" 7 --from-port 40001 --count 3)"
claim_eq "no checksum error at the endpoints" 0 "$(checksum_errors)"

# A server that is not there at all is no reason to stop.
settle dead.corp.example confirmed
dead=$(address dead.corp.example)
probe udp "$dead" 7 --timeout 0.5 >/dev/null
claim_eq "others are reached meanwhile" "answers 1" "$(probe udp "$v4" 7)"
