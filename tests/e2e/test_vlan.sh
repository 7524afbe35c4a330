#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A gateway on two trunks: its clients are in VLAN 100 of lan0, the resources in VLAN 200 of wan0, and
# native XDP on lan0 and wan0 translates what is tagged.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

CLIENT_VID=100
NET_VID=200

vlan_possible() {
    local netns=fqdnat-$$-vlan-probe status=0
    ip netns add "$netns"
    ip -n "$netns" link add below type veth peer name peer
    ip -n "$netns" link add link below name probe type vlan id 1 2>/dev/null || status=1
    ip netns del "$netns"
    return "$status"
}

if ! vlan_possible; then
    skip "VLANs through native XDP" "this kernel has no VLAN devices (8021q)"
    echo "1..1"
    exit 0
fi

# --- the lab, with VLAN devices on its links ---------------------------------------------

# The VLAN of a device of the lab: vid_of NS DEV
vid_of() {
    case $1.$2 in
    *-net.* | *.wan0) echo "$NET_VID" ;;
    *) echo "$CLIENT_VID" ;;
    esac
}

# vlan_add NS DEV VID
vlan_add() {
    ip -n "$1" link add link "$2" name "$2.$3" type vlan id "$3"
    ip -n "$1" link set "$2.$3" up
}

# As lab.sh has it, and VLAN devices above. A veth keeps tags beside the frame, where XDP does not
# see them, unless its peer writes them into it.
lab_link() {
    ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
    ip netns exec "$3" ethtool -K "$4" tx-vlan-offload off
    ip -n "$1" link set "$2" up
    ip -n "$3" link set "$4" up
    vlan_add "$1" "$2" "$(vid_of "$1" "$2")"
    vlan_add "$3" "$4" "$(vid_of "$3" "$4")"
}

eval "plain_$(declare -f lab_address)"
lab_address() {
    plain_lab_address "$1" "$2.$(vid_of "$1" "$2")" "${@:3}"
}

lab_config_interfaces() {
    echo "{name: lan0, mode: native}, {name: lan0.$CLIENT_VID}," \
        "{name: wan0, mode: native}, {name: wan0.$NET_VID},"
}

# Packets that a device has shown the kernel: received NS DEV
received() {
    ip -n "$1" -s -j link show dev "$2" | jq '.[0].stats64.rx.packets'
}

# A column of an interface: prog_of DEV KEY
prog_of() {
    lab_fqdnat -j prog show | jq -r --arg d "$1" --arg k "$2" '.[] | select(.dev == $d) | .[$k]'
}

e2e_up

# --- who does what -----------------------------------------------------------------------

claim_eq "lan0 has native XDP" native "$(prog_of lan0 mode)"
claim_eq "its VLAN device has tc" tc "$(prog_of lan0.$CLIENT_VID mode)"
claim_eq "and says what for" "VLAN 100, behind native XDP on lan0" \
    "$(prog_of lan0.$CLIENT_VID why)"

claim_match "a veth that may keep tags beside the frame is warned of" 'tx-vlan-offload off' \
    "$(prog_of lan0 warnings)"

# --- sessions ----------------------------------------------------------------------------

settle web.corp.example confirmed
settle files.corp.example confirmed
mapfile -t v4 < <(lab_client dig +short web.corp.example A)
mapfile -t v6 < <(lab_client dig +short web.corp.example AAAA)
# Neighbours are known from here on.
who 4 web.corp.example >/dev/null
who 6 web.corp.example >/dev/null

before_lan=$(received "$LAB_GW" lan0.$CLIENT_VID)
before_wan=$(received "$LAB_GW" wan0.$NET_VID)
before_slow=$(reason translated_slow)
# G-56: from VLAN to VLAN.
claim_match "HTTP over IPv4 comes from the egress address" \
    '^198\.51\.100\.10 198\.51\.100\.1 [0-9]+$' "$(who 4 web.corp.example)"
claim_match "HTTP over IPv6 comes from the egress address" \
    '^2001:db8:2::10 2001:db8:2::1 [0-9]+$' "$(who 6 web.corp.example)"
claim_eq "20 MB arrive whole over IPv4" 20000000 \
    "$(lab_client curl -sS4 -m 60 http://files.corp.example/bytes/20000000 | wc -c)"
claim_eq "20 MB arrive whole over IPv6" 20000000 \
    "$(lab_client curl -sS6 -m 60 http://files.corp.example/bytes/20000000 | wc -c)"
claim_eq "UDP over IPv4 is answered" "answers 1" "$(probe udp "${v4[1]}" 7)"
claim_eq "UDP over IPv6 is answered" "answers 1" "$(probe udp "${v6[1]}" 7)"
claim "ping in fragments over IPv4" lab_client ping -n -c 3 -i 0.2 -W 5 -s 3000 "${v4[2]}"
claim "ping in fragments over IPv6" lab_client ping -n -c 3 -i 0.2 -W 5 -s 3000 "${v6[3]}"
few() { [ $(($1 - $2)) -lt 100 ]; }
# DNS, ARP and neighbour discovery are the kernel's.
claim "what is translated does not reach the VLAN devices (client's side)" \
    few "$(received "$LAB_GW" lan0.$CLIENT_VID)" "$before_lan"
claim "what is translated does not reach the VLAN devices (resource's side)" \
    few "$(received "$LAB_GW" wan0.$NET_VID)" "$before_wan"
claim "nor the daemon" few "$(reason translated_slow)" "$before_slow"

# G-57: every packet is counted once.
before=$(reason translated)
lab_client ping -n -q -c 20 -i 0.05 -W 5 "${v4[0]}" >/dev/null
claim_eq "20 pings are 40 translations" 40 "$(($(reason translated) - before))"

# --- errors ------------------------------------------------------------------------------

claim_match "a port that is not permitted is refused" '^icmp 3 13 ' "$(probe tcp "${v4[0]}" 81)"
claim_match "traceroute ends at the proxy address" "${v4[0]//./\\.}" \
    "$(lab_client traceroute -n -I -q 1 -w 5 -m 4 "${v4[0]}" | tail -n 1)"

# --- other VLANs -------------------------------------------------------------------------

# G-57: one that is not listed is the kernel's.
vlan_add "$LAB_CLIENT" eth0 300
vlan_add "$LAB_GW" lan0 300
plain_lab_address "$LAB_CLIENT" eth0.300 10.30.0.2/24
plain_lab_address "$LAB_GW" lan0.300 10.30.0.1/24
before=$(reason vlan)
claim "a VLAN that is not listed is the kernel's" lab_client ping -n -c 3 -i 0.2 -W 5 10.30.0.1
claim "and its frames are counted as such" grown vlan "$before"
lab_client ip route replace "${v4[0]}" via 10.30.0.1
claim_not "nothing is translated for it" lab_client ping -n -c 2 -i 0.2 -W 2 "${v4[0]}"
lab_client ip route del "${v4[0]}"

# --- devices that come and go ------------------------------------------------------------

ip -n "$LAB_GW" link set lan0.$CLIENT_VID down
claim_not "a VLAN that is down passes nothing" lab_client ping -n -c 2 -i 0.2 -W 2 "${v4[0]}"
ip -n "$LAB_GW" link set lan0.$CLIENT_VID up
claim_until 20 "it is up again" lab_client ping -n -c 1 -W 2 "${v4[0]}"

ip -n "$LAB_GW" link del wan0.$NET_VID
claim_not "a VLAN that is gone passes nothing" lab_client ping -n -c 2 -i 0.2 -W 2 "${v4[0]}"
vlan_add "$LAB_GW" wan0 "$NET_VID"
lab_address "$LAB_GW" wan0 198.51.100.1/24 2001:db8:2::1/64
claim_until 20 "it is there again" lab_client ping -n -c 1 -W 2 "${v4[0]}"
before_wan=$(received "$LAB_GW" wan0.$NET_VID)
claim_eq "and carries 20 MB" 20000000 \
    "$(lab_client curl -sS4 -m 60 http://files.corp.example/bytes/20000000 | wc -c)"
claim "without the kernel" few "$(received "$LAB_GW" wan0.$NET_VID)" "$before_wan"

# --- without its own program -------------------------------------------------------------

lab_fqdnat prog detach dev lan0.$CLIENT_VID
claim_not "a VLAN device that is detached is not ours any more" \
    lab_client ping -n -c 2 -i 0.2 -W 2 "${v4[0]}"
