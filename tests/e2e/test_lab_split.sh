#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The lab with edges and gateways apart, without a daemon: who reaches whom, what gets lost, and
# that the configurations are good.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_LAYOUT='split'
e2e_lab

reaches() { lab_on "$1" "$2" ping -n -c 1 -W 2 "$3"; }
for family in 4 6; do
    for edge in edge-a edge-b; do
        for gateway in gw-a gw-b; do
            claim "$edge reaches $gateway by IPv$family" \
                reaches "$edge" lab_gw "$(lab_path_address "$gateway" "$family")"
        done
    done
done
for gateway in gw-a gw-b; do
    for address in 192.0.2.2 203.0.113.2 2001:db8:1::2 2001:db8:3::2 198.51.100.10 2001:db8:2::10; do
        claim "$gateway reaches $address" reaches "$gateway" lab_gw "$address"
    done
done
claim_not "the far side does not reach a client" lab_net ping -n -c 1 -W 1 192.0.2.2
claim_eq "an edge's upstream server answers" 198.51.100.11 \
    "$(lab_on edge-b lab_gw dig +short +tries=1 @10.9.0.53 www.example A)"

good() { lab_on "$1" check; }
check() { "$LAB_BUILD/fqdnat" config check "$LAB_CONFIG"; }
for trust in keys prefix; do
    for version in 4 6; do
        LAB_TRUST=$trust LAB_CONTROL_IP=$version lab_config
        for node in "${LAB_EDGES[@]}" "${LAB_GATEWAYS[@]}"; do
            claim "$node's configuration is good with $trust and IPv$version" good "$node"
        done
    done
done

# Something on the control port of gw-a, as an edge would send it.
send() {
    # shellcheck disable=SC2016 # expanded by the inner shell
    lab_on edge-a lab_gw bash -c 'for ((i = 0; i < $1; i++)); do echo >/dev/udp/10.9.0.1/4700; done' \
        bash "$1"
}
arrived() { [ "$(lab_control gw-a arrived)" -eq "$1" ]; }
lab_loss 0
send 50
claim_until 5 "messages arrive" arrived 50
claim_eq "none is lost at 0 %" 0 "$(lab_control gw-a lost)"
lab_loss 100
send 50
claim_until 5 "more messages arrive" arrived 100
claim_eq "all of those are lost at 100 %" 50 "$(lab_control gw-a lost)"
lab_loss 40 gw-a
send 500
claim_until 5 "many more" arrived 600
lost=$(($(lab_control gw-a lost) - 50))
claim "$lost of 500 are lost at 40 %" test "$lost" -gt 120 -a "$lost" -lt 280

lab_unplug gw-a
claim_not "a gateway that is cut off is not reached" reaches edge-a lab_gw 10.9.0.1
lab_replug gw-a
claim_until 5 "until it is back" reaches edge-a lab_gw 10.9.0.1
