#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The peer of a veth stops taking redirected frames while the daemon runs, and begins again: nobody
# is told, so the daemon looks. Until it has seen it frames are lost, afterwards they take the slow
# way.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle web.corp.example confirmed
proxy=$(address web.corp.example)

echoes() { lab_client ping -n -c 1 -W 1 "$proxy"; }
translated_by_ping() {
    local before
    before=$(reason "$1")
    echoes && grown "$1" "$before"
}

claim "by redirection" translated_by_ping translated
lab_client ethtool -K eth0 gro off
claim_until 10 "the peer takes none: by the slow way" translated_by_ping translated_slow
claim "nothing is lost then" lab_client ping -n -c 5 -i 0.2 -W 10 "$proxy"
claim_match "prog show says so" slow "$(lab_fqdnat -j prog show)"
lab_client ethtool -K eth0 gro on
only_redirected() {
    local before
    before=$(reason translated_slow)
    echoes && [ "$(reason translated_slow)" -eq "$before" ]
}
claim_until 10 "it takes them again: by redirection" only_redirected
