#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# SIGHUP: a good configuration takes effect with the next packet, a bad one changes nothing.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle web.corp.example confirmed
proxy=$(address web.corp.example)

reload() { kill -HUP "$(lab_pid fqdnatd)"; }
filters_are() { lab_fqdnat -j resource show | jq -e --arg n "$1" --argjson c "$2" \
    'any(.[]; .name == $n and (.filters | length) == $c)'; }
grants_are() { [ "$(lab_fqdnat -j grant show | jq length)" -eq "$1" ]; }
refused_either_way() { [ "$(($(reason not_granted) + $(reason revoked)))" -gt 0 ]; }
log_has() { grep -q -- "$1" "$LAB_LOG/fqdnatd.log"; }

claim_eq "a session" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"
claim_match "a port not in the filter is refused" '^icmp 3 13' "$(probe tcp "$proxy" 8000)"

# F-09: a wider filter takes effect.
LAB_FILTERS='[{tcp: 80}, {tcp: 8000}, {udp: 7}, icmp]'
lab_config
reload
claim_until 5 "the new filter is shown" filters_are intranet 4
claim_eq "a port that is permitted now connects" connected "$(probe tcp "$proxy" 8000)"
claim_eq "a session that is still permitted goes on" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"

# A bad file: the running daemon goes on with the old one, and says where the fault is.
cp "$LAB_CONFIG" "$LAB_RUN/good.yaml"
sed -i 's/masquerade: auto/masquerade: sometimes/' "$LAB_CONFIG"
line=$(grep -n sometimes "$LAB_CONFIG" | cut -d: -f1)
reload
claim_until 5 "a bad value is refused with file and line" log_has "fqdnat.yaml:$line"
claim "the word that was wrong is named" log_has sometimes
sed -e 's/^interfaces:/interfacez:/' "$LAB_RUN/good.yaml" >"$LAB_CONFIG"
reload
claim_until 5 "an unknown key is refused" log_has interfacez
printf 'interfaces: [lan0\n' >"$LAB_CONFIG"
reload
three_refused() { [ "$(grep -c 'fqdnat\.yaml:' "$LAB_LOG/fqdnatd.log")" -ge 3 ]; }
claim_until 5 "broken YAML is refused" three_refused
claim "the daemon runs" lab_daemon_answers
claim_eq "sessions go on" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"
claim_eq "new ones are made" "answers 1" "$(probe udp "$proxy" 7)"

# F-09, A-08: a narrower filter stops a running session with its next packet.
LAB_FILTERS='[{tcp: 80}, icmp]'
lab_config
reload
claim_until 5 "the narrower filter is shown" filters_are intranet 2
claim_match "the session's next packet is refused" '^icmp 3 13' "$(probe udp "$proxy" 7 --from-port 40001)"
claim_eq "what is still permitted works" connected "$(probe tcp "$proxy" 80)"

# A-08: a withdrawn grant, too, in the middle of a transfer.
lab_client curl -sS -o /dev/null -m 20 "http://$proxy/bytes/100000000000" 2>"$LAB_RUN/curl.err" &
transfer=$!
transfer_runs() { lab_fqdnat -j session show proxy "$proxy" | jq -e 'any(.[]; .bytes_in > 10000000)'; }
claim_until 5 "a transfer runs" transfer_runs
LAB_GRANTS='  - {client: lan, resource: open}'
lab_config
reload
claim_until 5 "the grant is gone" grants_are 1
# Whose packet comes first is chance: without data from the server the client has nothing to say.
claim_until 5 "its packets are refused" refused_either_way
claim_match "new connections are refused" '^icmp 3 (13|0) ' "$(probe tcp "$proxy" 80)"
before=$(reason translated)
kill "$transfer" 2>/dev/null || true
wait "$transfer" 2>/dev/null || true
claim "nothing is translated any more" test "$(($(reason translated) - before))" -lt 20

# The grant comes back; the name is asked for again.
LAB_GRANTS='  - {client: lan, resource: intranet}
  - {client: lan, resource: open}'
lab_config
reload
claim_until 5 "the grant is back" grants_are 2
claim "the name is confirmed when it is asked for" settle web.corp.example confirmed
claim_eq "and reached, by the same address" connected "$(probe tcp "$proxy" 80)"

# Grants from the command line, with an expiry (A-01).
claim "a grant is added by command" lab_fqdnat grant add client lan resource private
claim "a domain of it is confirmed" settle vault.priv.example confirmed
vault=$(address vault.priv.example)
claim_eq "and reached" connected "$(probe tcp "$vault" 80)"
claim "the grant is withdrawn by command" lab_fqdnat grant del client lan resource private
claim_match "and refused" '^icmp 3 (13|0) ' "$(probe tcp "$vault" 80)"
