#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A gateway dies during traffic: another one of the resource's list takes over, whatever applications
# do meanwhile succeeds in the end; the gateway comes back and is used again, but for running
# sessions. And Goodbye: a gateway that may do nothing for an edge any more says so, and is passed over.
set -euo pipefail
# shellcheck source=tests/lib/split.sh
. "$(dirname "$0")/../lib/split.sh"

split_up
claim "web is confirmed" settle web.corp.example confirmed
claim "any is confirmed" settle any.open.example confirmed
proxy=$(address web.corp.example)
other=$(address any.open.example)

# --- death -------------------------------------------------------------------------------

flow running "$proxy"
flow beside "$other"
claim_until 5 "a connection by way of gw-a" flow_beyond running 3
claim_eq "is a session there" gw-a "$(session_value "$(flow_port running)" gateway)"
claim_until 5 "and one by way of gw-b" flow_beyond beside 3
claim_eq "a UDP session" "answers 1" "$(probe udp "$proxy" 7 --from-port 41000)"

silent=$(reason gateway_silent)
lab_daemon_kill gw-a
lab_unplug gw-a
died=$(date +%s.%N)
connections meanwhile 1 20 "$proxy"
claim "the other gateway's connection does not notice" flow_goes_on beside
claim_until 40 "the edge notices" peer_is edge-a gw-a silent
claim "and counts it" grown gateway_silent "$silent"
claim_until 10 "new connections go by way of gw-b" grep -q ' ok .* 198\.51\.100\.3 ' "$LAB_LOG/meanwhile.log"
awk -v died="$died" '$2 == "ok" { t = $5 + $3 - died; if (!first || t < first) first = t }
    END { printf "# the first connection after the death succeeded %.1f s after it\n", first }' \
    "$LAB_LOG/meanwhile.log"
claim_eq "the domain is the other gateway's" gw-b "$(gateway_of web.corp.example)"
claim_eq "a UDP session moves" "answers 1" "$(probe udp "$proxy" 7 --from-port 41000)"
claim_eq "to gw-b" gw-b "$(session_value 41000 gateway)"
claim_until 40 "every connection begun meanwhile ends" lab_gone meanwhile
claim_eq "all of them have succeeded" 20 "$(grep -c ' ok ' "$LAB_LOG/meanwhile.log" || true)"
awk '{ if ($3 > worst) worst = $3 } END { printf "# the longest took %.1f s\n", worst }' "$LAB_LOG/meanwhile.log"
claim_until 40 "the connection that was there ends" flow_ended running
claim_match "by the server's reset or in time" '^(reset|timeout)$' "$(flow_end running)"
claim "the other gateway's goes on" flow_goes_on beside

# --- return ------------------------------------------------------------------------------

flow moved "$proxy"
claim_until 5 "another connection by way of gw-b" flow_beyond moved 3
port=$(flow_port moved)
claim_eq "is a session there" gw-b "$(session_value "$port" gateway)"
lab_replug gw-a
lab_daemon_start gw-a -v
claim_until 45 "the gateway is back" peer_is edge-a gw-a up
claim_eq "that alone moves nothing" gw-b "$(gateway_of web.corp.example)"
ask web.corp.example
claim_until 5 "the next query does" served_by web.corp.example gw-a
claim_until 5 "and it is confirmed there" state_is web.corp.example confirmed
claim_eq "new connections go by way of gw-a" gw-a "$(way 4 web.corp.example)"
claim "a running one goes on" flow_goes_on moved
claim_eq "where it was" gw-b "$(session_value "$port" gateway)"
claim_eq "so does a UDP session" "answers 1" "$(probe udp "$proxy" 7 --from-port 41000)"
claim_eq "by way of gw-b" gw-b "$(session_value 41000 gateway)"

# --- Goodbye -----------------------------------------------------------------------------

# A-04: the last grant of an edge's clients is withdrawn.
flow last "$proxy"
claim_until 5 "a connection by way of gw-a" flow_beyond last 3
goodbyes=$(reason gateway_goodbye)
claim "one of two grants is withdrawn" lab_fqdnat gw-a grant del client lan-a resource open
claim "the connection goes on" flow_goes_on last
claim_eq "no Goodbye yet" "$goodbyes" "$(reason gateway_goodbye)"
claim "the last one is withdrawn" lab_fqdnat gw-a grant del client lan-a resource intranet
claim_until 5 "the gateway says Goodbye" grown gateway_goodbye "$goodbyes"
claim_eq "it has forgotten what was this edge's" 0 "$(peer_value gw-a edge-a translations)"
claim_until 5 "it is still there, and heard" peer_is edge-a gw-a up
# Its packets are refused there; the kernel tells the application when it gives up.
claim_until 40 "the connection has ended" flow_ended last
claim "the other gateway's goes on" flow_goes_on beside
claim_until 40 "an edge with grants hears the gateway" peer_is edge-b gw-a up
claim "it is not affected" side b settle web.corp.example confirmed
claim_eq "it keeps its gateway" gw-a "$(side b gateway_of web.corp.example)"
# C-28: gw-a is up, and comes first, but refuses: whoever asks does not notice.
claim "asked again, the name is confirmed" settle web.corp.example confirmed
claim_eq "by the other gateway, which has a grant" gw-b "$(gateway_of web.corp.example)"
claim_eq "new connections go there" gw-b "$(way 4 web.corp.example)"
claim "granted again" lab_fqdnat gw-a grant add client lan-a resource intranet
# It is tried again after a rest of 30 s; an application asks now and then.
returns() { ask "$1" && served_by "$1" "$2" && state_is "$1" confirmed; }
claim_until 50 "gw-a serves the name again" returns web.corp.example gw-a
claim_eq "as before" gw-a "$(way 4 web.corp.example)"
