#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How the programs are attached: by libxdp's dispatcher where the kernel allows it, else alone with a link of
# their own. FQDNAT_DISPATCHER chooses, so that the loser of that choice is tested, too.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_lab

works() {
    settle web.corp.example confirmed
    claim_match "$1: IPv4" '^198\.51\.100\.10 ' "$(who 4 web.corp.example)"
    claim_match "$1: IPv6" '^2001:db8:2::10 ' "$(who 6 web.corp.example)"
    lab_daemon_stop
    claim_match "$1: and without the daemon" '^198\.51\.100\.10 ' \
        "$(lab_client curl -sS -m 5 "http://$proxy/who")"
    claim "$1: detach lan0" lab_fqdnat prog detach dev lan0
    claim "$1: detach wan0" lab_fqdnat prog detach dev wan0
    claim_eq "$1: nothing is left on the interfaces" 0 \
        "$(ip -n "$LAB_GW" -j link show | jq '[.[] | select(has("xdp"))] | length')"
}

start() {
    FQDNAT_DISPATCHER=$1 lab_daemon_start
    settle web.corp.example confirmed
    proxy=$(address web.corp.example)
}

start never
works "alone"

if FQDNAT_DISPATCHER=require lab_daemon_start 2>"$LAB_RUN/require.err"; then
    settle web.corp.example confirmed
    proxy=$(address web.corp.example)
    works "by the dispatcher"
else
    claim "the dispatcher required, but not possible: the log says why" \
        grep -qi dispatcher "$LAB_LOG/fqdnatd.log"
    skip "by the dispatcher" "this kernel refuses programs of type EXT, which libxdp's dispatcher needs"
    lab_daemon_stop
fi

start auto
works "chosen by the kernel's abilities"
