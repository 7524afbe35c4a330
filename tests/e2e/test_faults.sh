#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Faults while the daemon runs: a full disk, an address that is taken, messages that would go in
# circles. Nothing that worked before may stop working.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_lab
# shellcheck disable=SC2154 # status is set in the trap
trap 'status=$?; umount -l "$LAB_STATE" 2>/dev/null; (exit "$status"); e2e_end' EXIT
mount -t tmpfs -o size=1m fqdnat-state "$LAB_STATE"
lab_daemon_start
settle web.corp.example confirmed
settle four.corp.example confirmed
proxy=$(address web.corp.example)

hup() { kill -HUP "$(lab_pid fqdnatd)"; }
log_has() { grep -q -- "$1" "$LAB_LOG/fqdnatd.log"; }
status_of() { lab_client dig +tries=1 +time=20 "$@" | sed -n 's/.*status: \([A-Z]*\).*/\1/p'; }
new_name_fails() { [ "$(status_of "full$RANDOM.corp.example")" = SERVFAIL ]; }

# --- a full disk -------------------------------------------------------------------------

dd if=/dev/zero of="$LAB_STATE/ballast" bs=4k 2>/dev/null || true
claim_until 10 "a new name is refused while it cannot be written down" new_name_fails
claim "the counter tells" grown store_failed 0
claim_eq "a name that was written before is answered" NOERROR "$(status_of web.corp.example)"
claim_eq "and reached" connected "$(probe tcp "$proxy" 80)"
claim_eq "names of others are answered" NOERROR "$(status_of www.example)"
claim_match "a grant that cannot be written is no success" 'not written' \
    "$(lab_fqdnat grant add client lan resource private 2>&1 || true)"

before=$(reason store_failed)
claim "a name can be forgotten" lab_fqdnat domain forget four.corp.example
claim_until 10 "writing is tried again and again" grown store_failed $((before + 1))

# A-08: a revocation must not depend on the disk.
LAB_GRANTS='  - {client: lan, resource: open}'
lab_config
hup
claim_until 5 "a reload takes effect all the same" log_has 'configuration reloaded'
claim_match "what was revoked is refused" '^icmp 3 (13|0) ' "$(probe tcp "$proxy" 80)"

rm "$LAB_STATE/ballast"
claim_until 5 "what waited is written when there is room, without being asked" log_has 'state is written again'
new_name_works() { [ "$(status_of "space$RANDOM.open.example")" = NOERROR ]; }
claim_until 10 "new names are answered when there is room again" new_name_works

# Nothing that waited was lost.
lab_daemon_kill
lab_daemon_start
known() { lab_fqdnat -j domain show "$1" | jq -e 'length > 0'; }
claim_not "a name that was forgotten meanwhile stays forgotten" known four.corp.example
claim "one that was there before is there" known web.corp.example

# --- an address that is taken ------------------------------------------------------------

cp "$LAB_CONFIG" "$LAB_RUN/good.yaml"
lab_spawn squatter "$LAB_GW" socat -u UDP4-RECV:5353,bind=198.51.100.1 OPEN:/dev/null
lab_until 5 sh -c "nsenter --net=/run/netns/$LAB_GW ss -Hlun 'sport = :5353' | grep -q 5353"
sed -i 's/listen: \["192.0.2.1"/listen: ["192.0.2.1", "198.51.100.1:5353"/' "$LAB_CONFIG"
hup
claim_until 5 "an address that is taken is named" log_has '198.51.100.1'
dns_goes_on() { [ "$(status_of any.open.example)" = NOERROR ]; }
claim_until 5 "DNS goes on where it was" dns_goes_on
claim "the command line, too" lab_daemon_answers
lab_stop squatter
hup
listens() { lab_gw ss -Hlun 'sport = :5353' | grep -q 5353; }
claim_until 5 "the next reload tries again" listens

# --- circles -----------------------------------------------------------------------------

# An answer is never answered: two servers would go on for ever (from a stranger and from a client).
echo_of() {
    ip netns exec "$1" python3 - "$2" "$3" <<'PY'
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.5)
s.sendto(struct.pack("!6H", 7, 0x8180, 1, 0, 0, 0) + b"\x03web\x04open\x07example\0\0\x01\0\x01", (sys.argv[1], int(sys.argv[2])))
try:
    s.recv(512)
    print("answered")
except TimeoutError:
    print("silent")
PY
}
claim_eq "a response from a client is not answered" silent "$(echo_of "$LAB_CLIENT" 192.0.2.1 53)"
claim_eq "nor one from a stranger" silent "$(echo_of "$LAB_NET" 198.51.100.1 5353)"
