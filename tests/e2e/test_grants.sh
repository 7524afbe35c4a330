#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Grants: expired ones open nothing, at no time; those changed by hand last over restarts and
# belong to the resource, not to its name.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

grant_state() { lab_fqdnat -j grant show | jq -r --arg r "$1" '.[] | select(.resource == $r) | .state'; }
grant_is() { [ "$(grant_state "$1")" = "$2" ]; }
fails() { settle "$1" failed && ! settle_reached "$1"; }
# A query at the heels of another one is part of the same asking: an application asks again.
opens() { ask "$1" && state_is "$1" confirmed; }
settle_reached() { [ "$(probe tcp "$(address "$1")" 80)" = connected ]; }

# A-01, A-02: a grant whose time is over opens nothing: at start, after SIGHUP, after a crash.
LAB_GRANTS='  - {client: lan, resource: intranet}
  - {client: lan, resource: private, expires: 2020-01-01T00:00:00Z}
  - {client: lan, resource: open, expires: 9999-12-31T23:59:59Z}'
e2e_up
claim_eq "an expired grant is shown as such" expired "$(grant_state private)"
claim "it opens nothing at start" fails vault.priv.example
claim_eq "one of the far future is valid" valid "$(grant_state open)"
claim_until 8 "and opens what it grants" opens any.open.example
kill -HUP "$(lab_pid fqdnatd)"
claim_until 5 "the configuration is read again" grep -q reloaded "$LAB_LOG/fqdnatd.log"
claim "an expired grant opens nothing after SIGHUP" fails vault.priv.example
lab_daemon_kill
lab_daemon_start
claim "nor after a crash" fails vault.priv.example

# A-03: by hand, with an expiry; re-adding changes it.
claim "a grant is added" lab_fqdnat grant add client lan resource private expires 1h
claim_until 8 "it opens its resource" opens vault.priv.example
claim "its expiry is brought forward" lab_fqdnat grant add client lan resource private expires 2020-01-01T00:00:00Z
claim_until 5 "running sessions and new ones are refused" fails vault.priv.example
claim "it is added for good" lab_fqdnat grant add client lan resource private
claim_until 8 "and opens its resource again" opens vault.priv.example
lab_daemon_kill
lab_daemon_start
claim "it outlives the daemon" grant_is private valid

# A-08: withdrawn by hand, also a grant of the configuration, and over a restart.
claim "a grant of the configuration is withdrawn" lab_fqdnat grant del client lan resource intranet
claim "its resource is closed" fails web.corp.example
lab_daemon_kill
lab_daemon_start
claim "it stays withdrawn" grant_is intranet revoked

# What was granted by hand is the resource, not whatever is called so later.
LAB_GRANTS='  - {client: lan, resource: intranet}'
lab_config
sed -i -e 's/name: private/name: renamed/' -e 's/name: open$/name: private/' "$LAB_CONFIG"
kill -HUP "$(lab_pid fqdnatd)"
claim_until 5 "the grant goes with its resource" grant_is renamed valid
claim_eq "the new owner of the name has none" "" "$(grant_state private)"

claim_match "a wrong client is named" "no client 'nobody'" \
    "$(lab_fqdnat grant add client nobody resource renamed 2>&1 || true)"
claim_match "a wrong resource is named" "no resource 'nothing'" \
    "$(lab_fqdnat grant add client lan resource nothing 2>&1 || true)"
