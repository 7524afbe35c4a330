#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Programs stay when the daemon exits; `prog detach` removes every trace; `prog attach` is the way back.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle web.corp.example confirmed
proxy=$(address web.corp.example)
claim_eq "it works" "answers 1" "$(probe udp "$proxy" 7)"

attached() { ip -n "$LAB_GW" -j link show "$1" | jq -e '.[0] | has("xdp")'; }
# (The kernel's own two in every bpffs are not ours.)
pins() { find "$LAB_BPFFS" -mindepth 1 -not -name '*.debug' | sort; }

claim "a program is on lan0" attached lan0
claim "a program is on wan0" attached wan0

lab_daemon_stop
claim "the daemon is gone, the programs stay" attached wan0
claim_eq "and translate" "answers 1" "$(probe udp "$proxy" 7)"

claim "detach from wan0, without the daemon" lab_fqdnat prog detach dev wan0
claim_not "nothing is on wan0" attached wan0
claim "lan0 is as it was" attached lan0
claim "detach from lan0" lab_fqdnat prog detach dev lan0
claim_not "nothing is on lan0" attached lan0
claim_eq "no pin is left" "" "$(pins)"
claim_eq "prog show has nothing to show" "[]" "$(lab_fqdnat -j prog show | jq -c .)"

lab_daemon_start
claim "the daemon starts anew" attached wan0
claim "the domain works again" settle web.corp.example confirmed
claim_eq "by the same proxy address" "$proxy" "$(address web.corp.example)"
claim_eq "it is reached" "answers 1" "$(probe udp "$proxy" 7)"

claim "detach with the daemon" lab_fqdnat prog detach dev wan0
claim_not "nothing is on wan0" attached wan0
claim "attach it again" lab_fqdnat prog attach dev wan0 mode native
claim "it is there" attached wan0
claim_eq "and works" "answers 1" "$(probe udp "$proxy" 7)"
claim_not "an interface that does not exist cannot be attached" lab_fqdnat prog attach dev nope0
claim_match "the error names it" nope0 "$(lab_fqdnat prog attach dev nope0 2>&1 || true)"
