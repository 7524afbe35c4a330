#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Small numbers stand for clients, resources and domains in the maps. Whoever gets one that was
# another's must not get its sessions, rights or addresses, too.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.2/32, "2001:db8:1::/64"]}
  - {name: guest, prefixes: [192.0.2.99/32]}'
LAB_GRANTS='  - {client: lan, resource: open}
  - {client: guest, resource: intranet}'
e2e_up
lab_address "$LAB_CLIENT" eth0 192.0.2.{98,99}/24

# The lab's configuration without its resource open.
configure() {
    lab_config
    sed -i '/id: .*7a12$/,/address:/d' "$LAB_CONFIG"
}
reload() {
    local before
    before=$(grep -c 'configuration reloaded' "$LAB_LOG/fqdnatd.log" || true)
    kill -HUP "$(lab_pid fqdnatd)"
    lab_until 5 reloaded_since "$before"
}
reloaded_since() { [ "$(grep -c 'configuration reloaded' "$LAB_LOG/fqdnatd.log")" -gt "$1" ]; }
restart() {
    lab_daemon_stop
    lab_daemon_start
}
client_sessions() { lab_fqdnat -j client show | jq --arg n "$1" '.[] | select(.name == $n) | .sessions'; }
id_of() { lab_fqdnat -j domain show "$1" | jq -r '.[0].id'; }

settle any.open.example confirmed
settle web.corp.example confirmed
open=$(address any.open.example)
web=$(address web.corp.example)
claim_eq "a session of lan" "answers 1" "$(probe udp "$open" 7 --from-port 40001)"
claim_eq "a session of guest" "answers 1" "$(probe udp "$web" 7 --from 192.0.2.99 --from-port 40002)"

# guest and open go: their numbers are free when the daemon has started again.
LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.2/32, "2001:db8:1::/64"]}'
LAB_GRANTS='  - {client: lan, resource: intranet}'
configure
restart
claim_eq "sessions of a client and of a resource that are gone are ended" 0 "$(sessions)"

# Others get the numbers, with more rights than the old ones had.
LAB_CLIENTS+='
  - {name: newcomer, prefixes: [192.0.2.98/32, 192.0.2.99/32]}'
LAB_GRANTS+='
  - {client: newcomer, resource: intranet}
  - {client: lan, resource: other}'
configure
sed -i '/^grants:/i\  - {id: 5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7aff, name: other, address: "*.other.example"}' "$LAB_CONFIG"
reload
claim_eq "the new client has no sessions" 0 "$(client_sessions newcomer)"
claim_match "the new resource does not open what the old one did" '^(icmp|timeout)' \
    "$(probe udp "$open" 7 --from-port 40001)"
settle web.corp.example confirmed
claim_eq "the new client has a session of its own" "answers 1" \
    "$(probe udp "$web" 7 --from 192.0.2.98 --from-port 40003)"
claim_eq "which is counted" 1 "$(client_sessions newcomer)"

# P-08: a domain that is forgotten leaves neither its number nor its addresses to another, also over a
# restart; until then its sessions go on.
id=$(id_of web.corp.example)
claim "a domain is forgotten" lab_fqdnat domain forget web.corp.example
claim_eq "its session goes on" "answers 1" "$(probe udp "$web" 7 --from 192.0.2.98 --from-port 40003)"
restart
claim_eq "and ends when nobody knows its domain any more" 0 "$(sessions)"
claim "another domain" settle four.corp.example confirmed
claim "has a number of its own" test "$(id_of four.corp.example)" -gt "$id"
claim "and addresses of its own" test "$(address four.corp.example)" != "$web"
claim_match "the old address leads nowhere" '^(icmp|timeout)' "$(probe udp "$web" 7 --from-port 40003)"
