#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What is wrong at the start is said, with its place; what can be used otherwise, is, and that is said, too.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_lab

# refused TEXT REGEX: the daemon ends at once, with an error that matches.
refused() {
    local out status=0
    out=$(lab_gw timeout 60 "$LAB_BUILD/fqdnatd" -c "$LAB_CONFIG" 2>&1 </dev/null) || status=$?
    claim "$1: does not start" test "$status" -ne 0 -a "$status" -ne 124
    claim_match "$1: says why" "$2" "$out"
}

line_of() { grep -n -- "$1" "$LAB_CONFIG" | head -n 1 | cut -d: -f1; }

# check TEXT SED REGEX: the file after SED is refused by the daemon and by `config check`.
check() {
    lab_config
    sed -i "$2" "$LAB_CONFIG"
    refused "$1" "$3"
    claim_not "$1: config check says no" lab_fqdnat config check "$LAB_CONFIG"
}

claim "a good file is good" lab_fqdnat config check "$LAB_CONFIG"
check "an unknown key" 's/^edge:/edgy:/' 'fqdnat\.yaml.*edgy'
check "a value of the wrong type" 's/timeout_s: .*}/timeout_s: soon}/' 'fqdnat\.yaml:[0-9]+.*soon'
check "a pattern that is none" 's/\*\.open\.example/open..example/' 'fqdnat\.yaml.*open\.\.example'
check "a grant for an unknown resource" 's/resource: open}/resource: opne}/' 'fqdnat\.yaml.*opne'
check "a grant for an unknown client" 's/client: lan, resource: open/client: wan, resource: open/' 'fqdnat\.yaml.*wan'
check "a prefix that is none" 's|192.0.2.0/24|192.0.2.0/42|' 'fqdnat\.yaml.*192\.0\.2\.0/42'
check "an interface twice" 's/name: wan0/name: lan0/' 'fqdnat\.yaml.*lan0'
check "a name twice" 's/name: private/name: intranet/' 'fqdnat\.yaml.*intranet'

claim_eq "nothing is left attached" null "$(ip -n "$LAB_GW" -j link show lan0 | jq -c '.[0].xdp')"
rm "$LAB_CONFIG"
refused "a file that is not there" 'fqdnat\.yaml.*No such file'

# Interfaces that are missing or down, and an address that is not there yet: said, and waited for.
attached() { ip -n "$LAB_GW" -j link show "$1" | jq -e '.[0] | has("xdp")'; }
lab_config
sed -i -e 's/^interfaces: \[/&{name: wan7, mode: native}, /' -e 's/"192.0.2.1", /&"192.0.2.77", /' "$LAB_CONFIG"
ip -n "$LAB_GW" link set wan0 down
lab_daemon_start
claim "an interface that is not there: in the log" grep -q 'wan7' "$LAB_LOG/fqdnatd.log"
claim "lan0 is attached meanwhile" attached lan0
ip -n "$LAB_GW" link add wan7 type veth peer name wan8
ip -n "$LAB_GW" link set wan8 up
ip -n "$LAB_GW" link set wan7 up
claim_until 5 "it is attached when it appears" attached wan7
ip -n "$LAB_GW" link set wan0 up
lab_address "$LAB_GW" wan0 2001:db8:2::1/64
claim_until 5 "one that was down is attached when it is up" attached wan0
claim "and works" settle web.corp.example confirmed
claim_match "with its addresses" '^198\.51\.100\.10 198\.51\.100\.1 ' "$(who 4 web.corp.example)"
claim_match "of both families" '^2001:db8:2::10 2001:db8:2::1 ' "$(who 6 web.corp.example)"
lab_address "$LAB_GW" lan0 192.0.2.77/24
claim_until 5 "a DNS address that is assigned later is served" \
    lab_client dig +tries=1 +time=3 @192.0.2.77 web.corp.example
ip -n "$LAB_GW" link delete wan7
claim "an interface that goes away takes nothing with it" settle four.corp.example confirmed
lab_daemon_stop
for dev in lan0 wan0; do
    lab_fqdnat prog detach dev "$dev"
done

# A veth peer without NAPI loses redirected frames silently: said aloud.
lab_net ethtool -K eth0 gro off
lab_daemon_start
claim "a peer that cannot receive redirected frames: in the log" grep -qiE 'napi|gro' "$LAB_LOG/fqdnatd.log"
# Older kernels (before 6.3) cannot tell of a peer elsewhere; the first frames that are lost do.
settle web.corp.example confirmed
probe udp "$(address web.corp.example)" 7 --timeout 1 >/dev/null
shown() { lab_fqdnat prog show | grep -qiE 'napi|gro'; }
claim_until 5 "and in prog show" shown
lab_net ethtool -K eth0 gro on

# A second daemon with the same places is refused; the first goes on.
refused "a second daemon" "$LAB_SOCKET|running|already|in use"
claim "the first goes on" lab_daemon_answers
