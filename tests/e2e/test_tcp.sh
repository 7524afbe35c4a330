#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# TCP connections by their state: idle ones live, half-closed ones go on, those of which somebody says that they
# are over do not end, those that are over do.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_TIMEOUTS='{tcp_opening_s: 2, tcp_established_s: 600, tcp_closing_s: 2, tcp_reset_s: 2, udp_s: 2, unconfirmed_s: 2, icmp_s: 2}'
e2e_up
settle any.open.example confirmed
open=$(address any.open.example)
server=198.51.100.11 # that name's

session_of() { lab_fqdnat -j session show | jq -r --argjson p "$1" --arg k "$2" '.[] | select(.client_port == $p) | .[$k]'; }
state_of_is() { [ "$(session_of "$1" state)" = "$2" ]; }
gone() { [ -z "$(session_of "$1" state)" ]; }
said() { grep -q -- "$2" "$LAB_LOG/$1.log"; }
forge() { lab_net /usr/bin/python3 "$E2E_ROOT/tests/lib/rst.py" "$1" "$server" 5555 198.51.100.1 "$2" "$3"; }

# A server that answers line by line; after EOF it waits, says "late" and closes. "reset": closes by RST.
listening='
import os, socket, struct, sys, threading, time
def serve(c):
    f = c.makefile("r")
    for line in f:
        if line.strip() == "reset":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            break
        c.sendall(line.encode())
    else:
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.1)
        c.sendall(b"late\n")
    f.close()
    c.close()
s = socket.create_server(("198.51.100.11", 5555))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()'

# A client that says what stands in a file, a line each, as soon as it stands there, and tells what it hears.
# "shut": no more from it.
talking='
import socket, sys, threading, time
s = socket.create_connection((sys.argv[1], 5555), source_address=("192.0.2.2", int(sys.argv[2])))
def hear():
    try:
        for line in s.makefile("r"):
            print("heard", line.strip(), flush=True)
        print("closed", flush=True)
    except OSError as e:
        print(e, flush=True)
threading.Thread(target=hear, daemon=True).start()
lines = open(sys.argv[3])
while True:
    line = lines.readline()
    if not line:
        time.sleep(0.05)
    elif line.strip() == "shut":
        s.shutdown(socket.SHUT_WR)
    else:
        s.sendall(line.encode())'
talk() {
    : >"$LAB_RUN/say$1"
    lab_spawn "client$1" "$LAB_CLIENT" /usr/bin/python3 -u -c "$talking" "$open" "$1" "$LAB_RUN/say$1"
}
say() { echo "$2" >>"$LAB_RUN/say$1"; }

lab_spawn server "$LAB_NET" /usr/bin/python3 -u -c "$listening" "$LAB_RUN/go"
lab_until 5 said server ready

for port in 45001 45002 45003 45004 45005; do
    talk "$port"
    say "$port" "hello$port"
    claim_until 5 "a connection from port $port speaks" said "client$port" "heard hello$port"
    claim_until 2 "and is shown as established" state_of_is "$port" established
done
nat_port=$(session_of 45003 nat_port)
idle_since=$SECONDS

# N-10: RFC 7857 2.2: forged, by somebody who does not know the numbers.
before=$(reason translated)
forge R "$nat_port" 200
forge RA "$nat_port" 200
forge FA "$nat_port" 200
forge S "$nat_port" 200
claim_until 5 "forged segments are translated" grown translated "$((before + 799))"
claim "and change no state" state_of_is 45003 established
say 45003 still
claim_until 5 "the connection speaks on" said client45003 "heard still"

# Half-closed: FIN of the client, and the server has something to say for a long time (RFC 5382 REQ-5).
say 45002 shut
claim_until 5 "a half-closed connection is shown as one" state_of_is 45002 half_closed

# Reset: by the server.
say 45004 reset
claim_until 5 "a reset reaches the client" said client45004 "reset by peer"
claim_until 5 "and the session goes soon" gone 45004


# N-06: idle for several times what any other state has.
while [ $((SECONDS - idle_since)) -lt 8 ]; do sleep 0.5; done
claim_eq "an idle connection is established still" established "$(session_of 45001 state)"
say 45001 again
claim_until 5 "and speaks" said client45001 "heard again"
claim_eq "the half-closed one is there still" half_closed "$(session_of 45002 state)"
touch "$LAB_RUN/go"
claim_until 5 "and its other half works" said client45002 "heard late"
claim_until 8 "then it is closed, and goes" gone 45002

# Both close.
say 45005 shut
claim_until 8 "a closed connection goes" gone 45005

# N-03: RFC 4787 REQ-3a: the port's class is kept.
claim_eq "a client may send from a well-known port" "answers 1" "$(probe udp "$open" 7 --from-port 601)"
claim_match "which is mapped to one" '^([1-9][0-9]{0,2}|10[01][0-9]|102[0-3])$' "$(session_of 601 nat_port)"

# What is configured below the RFCs is said.
claim "times below the RFCs' are warned of" grep -q 'tcp_closing_s: 2 is less than 240 (RFC 5382 REQ-5)' "$LAB_LOG"/fqdnatd*.log
