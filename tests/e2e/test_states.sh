#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What becomes of a domain: held while it is pending, confirmed, failed, left alone, asked again.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_RESOLVER_TIMEOUT=$E2E_HELD_S
e2e_up
settle web.corp.example confirmed
# The next hop is known from here on: held packets that find it unknown may overtake each other.
claim_match "a name is reached" '^198\.51\.100\.10 ' "$(who 4 web.corp.example)"

held() { lab_fqdnat -j domain show "$1" | jq '[.[].held_packets] | add'; }
held_is() { [ "$(held "$1")" -eq "$2" ]; }
resolved_to() { lab_fqdnat -j domain show "$1" | jq -e --arg a "$2" '[.[].real_addresses[]] | index($a)'; }
more_asked() { [ "$(lab_asked "$1")" -gt "$2" ]; }

# C-02: packets are held while the domain is pending, and released in order.
lab_zone set slow 60 A 198.51.100.10
lab_mute slow
proxy=$(address slow.corp.example)
claim_until 3 "a name whose server is slow is pending" state_is slow.corp.example pending
probe udp "$proxy" 7 --count 5 --in-order --timeout "$E2E_HELD_S" >"$LAB_RUN/held.out" &
waiting=$!
claim_until 3 "five packets are held" held_is slow.corp.example 5
claim "they are counted as held" grown held 4
lab_unmute slow
wait "$waiting"
claim_eq "confirmed: all five go out, in order" "answers 1 2 3 4 5" "$(cat "$LAB_RUN/held.out")"
claim_until 3 "the domain is confirmed" state_is slow.corp.example confirmed
claim_eq "nothing is held any more" 0 "$(held slow.corp.example)"
claim "they are counted as released" grown held_released 4

# C-05: a TCP connection opened while pending is established, its SYN held once.
lab_zone set slow2 60 A 198.51.100.10
lab_mute slow2
proxy=$(address slow2.corp.example)
probe tcp "$proxy" 80 --timeout "$E2E_HELD_S" >"$LAB_RUN/held.out" &
waiting=$!
claim_until 3 "a SYN is held" held_is slow2.corp.example 1
claim_until 4 "its retransmission replaces it" grown held_duplicate 0
claim_eq "one is held" 1 "$(held slow2.corp.example)"
lab_unmute slow2
wait "$waiting"
claim_eq "confirmed: the connection is there" connected "$(cat "$LAB_RUN/held.out")"

# C-11: asked again, a confirmed domain's packets keep flowing while the gateway resolves anew.
proxy=$(address web.corp.example)
settle web.corp.example confirmed
lab_mute web
lab_fqdnat domain refresh web.corp.example
claim_eq "a confirmed domain that is asked for again is not held" "answers 1" \
    "$(probe udp "$proxy" 7 --timeout 2)"
lab_unmute web

# A name without any address fails, one with either family does not.
claim "A only: confirmed" settle four.corp.example confirmed
claim "AAAA only: confirmed" settle six.corp.example confirmed
claim "NXDOMAIN: failed" settle nx.corp.example failed
claim "no address record: failed" settle empty.corp.example failed
claim_match "a failed domain is refused" '^icmp 3 0 ' "$(probe tcp "$(address empty.corp.example)" 80)"
claim_until 5 "and fails again, as it was asked for" state_is empty.corp.example failed

# C-09: a failed domain is not tried again, whatever else is asked for and whoever sends to it.
proxy=$(lab_fqdnat -j domain show nx.corp.example | jq -r '.[0].proxy_addresses[0]')
before=$(lab_asked nx)
ask web.corp.example
probe udp "$proxy" 7 >"$LAB_RUN/refused.out"
claim_match "a packet to it is refused at once" '^icmp 3 0 ' "$(cat "$LAB_RUN/refused.out")"
sleep 2.1 # the resend interval passes
ask four.corp.example
probe udp "$proxy" 7 >/dev/null
claim "it stays failed" state_is nx.corp.example failed
claim_eq "its gateway has not asked again" "$before" "$(lab_asked nx)"

# C-10: asked for again, it is tried again, and works if it can be resolved by now.
lab_zone set nx 60 A 198.51.100.11
ask nx.corp.example
claim_until 5 "asked for again, it is confirmed" state_is nx.corp.example confirmed
claim "the gateway has asked" more_asked nx "$before"
claim_eq "and it is reached" "answers 1" "$(probe udp "$proxy" 7)"

# C-02: packets of a domain that fails are dropped, later ones are refused.
lab_zone set slow3 60 TXT nothing
lab_mute slow3
proxy=$(address slow3.corp.example)
probe udp "$proxy" 7 --timeout 1 >/dev/null
claim_until 3 "a packet is held" held_is slow3.corp.example 1
lab_unmute slow3
claim_until 9 "the domain fails" state_is slow3.corp.example failed
claim "its packet is dropped" grown held_dropped 0
claim_match "the next is refused" '^icmp 3 0 ' "$(probe udp "$proxy" 7)"

# N-04: re-resolution moves new sessions only.
lab_zone set flip 5 A 198.51.100.10
settle flip.corp.example confirmed
proxy=$(address flip.corp.example)
claim_eq "a session to the first address" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"
lab_zone unset flip A
lab_zone set flip 5 A 198.51.100.11
flip_moves() {
    ask flip.corp.example
    resolved_to flip.corp.example 198.51.100.11
}
claim_until 12 "the name is resolved anew when it is asked for" flip_moves
claim_eq "the old session goes on" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"
claim_eq "with its real address" 198.51.100.10 "$(lab_fqdnat -j session show proxy "$proxy" |
    jq -r '.[] | select(.client_port == 40001) | .real')"
claim_eq "a new session" "answers 1" "$(probe udp "$proxy" 7 --from-port 40002)"
claim_eq "goes to the new address" 198.51.100.11 "$(lab_fqdnat -j session show proxy "$proxy" |
    jq -r '.[] | select(.client_port == 40002) | .real')"

# Session first: a domain that fails keeps its sessions.
lab_zone unset flip A
flip_fails() {
    ask flip.corp.example
    state_is flip.corp.example failed
}
claim_until 12 "the name is gone: the domain fails" flip_fails
claim_eq "its session goes on" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"
claim_match "a new one is refused" '^icmp 3 0 ' "$(probe udp "$proxy" 7 --from-port 40003)"
