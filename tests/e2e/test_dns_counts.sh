#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# D-04: what the DNS server drops before it looks into it is counted, each once: messages that are
# none, queries above the limit, connections that may not be.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.2/32]}'
# As long wait queries that a server does not answer.
LAB_RESOLVER_TIMEOUT=20
e2e_lab
lab_address "$LAB_CLIENT" eth0 192.0.2.99/24
echo 'limits: {dns_requests: 16}' >>"$LAB_CONFIG"
lab_daemon_start

log_has() { grep -q -- "$1" "$LAB_LOG/fqdnatd.log"; }
count_is() { [ "$(reason "$1")" -eq "$2" ]; }

# adds NUMBER REASON TEXT COMMAND...: so many more are counted when the command has ended.
adds() {
    local number=$1 which=$2 text=$3 before
    before=$(reason "$which")
    shift 3
    "$@"
    claim_until 5 "$text: $number counted" count_is "$which" $((before + number))
}

# Datagrams to the DNS server: datagrams COUNT BYTES HEX, HEX repeated up to BYTES
datagrams() {
    lab_client python3 - "$@" <<'PY'
import socket, sys
count, size, pattern = int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(count):
    s.sendto((pattern * size)[:size], ("192.0.2.1", 53))
PY
}

# Connections that are open at the same time, and how many the server has closed, when it has had the
# time to close as many as it should: connections COUNT FROM WANTED
connections() {
    lab_client python3 - "$@" <<'PY'
import select, socket, sys
count, source, wanted = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
conns = [socket.create_connection(("192.0.2.1", 53), 5, (source, 0)) for i in range(count)]
closed = 0
while ready := select.select(conns, [], [], 30 if closed < wanted else 0.5)[0]:
    closed += len(ready)
    conns = [c for c in conns if c not in ready]
print(closed)
PY
}

# One message of TCP with its length before it.
tcp_message() {
    lab_client python3 - "$1" <<'PY'
import socket, sys
message = bytes.fromhex(sys.argv[1])
c = socket.create_connection(("192.0.2.1", 53), 5)
c.sendall(len(message).to_bytes(2, "big") + message)
c.settimeout(2)
try:
    c.recv(1)
except (ConnectionError, TimeoutError):
    pass
PY
}

closes() { claim_eq "$1" "$2" "$(connections "$3" "$4" "$2")"; }

adds 3 dns_malformed "datagrams shorter than a header" datagrams 3 11 00
adds 2 dns_malformed "datagrams longer than any query" datagrams 2 5000 00
adds 1 dns_malformed "a message shorter than a header by TCP" tcp_message 1234567890

adds 2 dns_overload "connections above what one source may have" \
    closes "two of six connections are closed" 2 6 192.0.2.2
adds 3 dns_overload "connections of a stranger" \
    closes "all connections of a stranger are closed" 3 3 192.0.2.99

# Sixteen wait for the site's server, which does not answer; TXT is asked there.
txt='0001 0100 0001 0000 0000 0000 0673696c656e74 04636f7270 076578616d706c65 00 0010 0001'
txt=${txt// /}
adds 8 dns_overload "queries above the limit" datagrams 24 $((${#txt} / 2)) "$txt"
claim "the limit is shown as reached" \
    jq -e 'any(.[]; .name == "dns_requests" and .used == 16 and .max == 16)' \
    <<<"$(lab_fqdnat -j stats limits)"

none_waits() { lab_fqdnat -j stats limits | jq -e 'any(.[]; .name == "dns_requests" and .used == 0)'; }
claim_until 20 "they end when their time is over" none_waits

# New listeners count from 0: what was counted stays, and what comes is added.
malformed=$(reason dns_malformed)
sed -i 's/listen: \["192.0.2.1"/listen: ["192.0.2.1", "198.51.100.1:5353"/' "$LAB_CONFIG"
kill -HUP "$(lab_pid fqdnatd)"
claim_until 5 "another DNS address" log_has 'configuration reloaded'
adds 1 dns_malformed "after a reload" datagrams 1 11 00
claim_eq "none is lost by it" $((malformed + 1)) "$(reason dns_malformed)"

# The same where the new ones are asked more than the old ones were: less tells nothing then.
sed -i 's/198.51.100.1:5353/198.51.100.1:5354/' "$LAB_CONFIG"
kill -HUP "$(lab_pid fqdnatd)"
reloaded_twice() { [ "$(grep -c 'configuration reloaded' "$LAB_LOG/fqdnatd.log")" -ge 2 ]; }
claim_until 5 "yet another DNS address" reloaded_twice
for _ in 1 2 3 4 5; do ask web.corp.example; done
adds 1 dns_malformed "after more questions than before" datagrams 1 11 00
