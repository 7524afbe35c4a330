#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What fqdnat asks the daemon and what it makes of the answers, with canned ones (fake_daemon.py):
# requests are exact, tables fit 100 columns, JSON is passed on as it is, refusals are errors.
#
# tests/cli/test_daemon.sh [PATH-OF-FQDNAT]    prints "ok"/"not ok" lines, exits 1 on failure

# shellcheck source=tests/cli/claims.sh
. "$(dirname "$0")/claims.sh"

socket=$dir/control.sock
requests=$dir/requests
python3 tests/cli/fake_daemon.py "$socket" "$requests" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null; rm -rf "$dir"' EXIT

# until_true COMMAND...: with a deadline, of a slow machine
until_true()
{
    local deadline=$((SECONDS + 30))
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

asked() { [ "$(tail -n 1 "$requests" | jq -c "[.command, .args // {}]")" = "$1" ]; }

claim "the fake daemon listens" until_true test -S "$socket"

# Domains.
run domain
claim "domain lists one line each, 100 columns" shows "web.corp.example"
claim "domain asks for all" asked '["domain show",{}]'
claim "domain counts what is not shown" out_has "100.96.0.1 (+7)"
claim "domain says how long the state lasts" out_has "2h04m"
run domain show web.corp.example
claim "domain show NAME shows everything" shows "resends:"
claim "domain show NAME asks for one" asked '["domain show",{"name":"web.corp.example"}]'
claim "domain show NAME lists every proxy address" out_has "2001:db8:1111:2222:3333:4444:5555:fff4"
run -j domain
claim "domain -j is one line" one_line out
claim "domain -j has the keys of the contract" out_jq \
    '.[0] | [.domain, .resource, .gateway, .state, (.proxy_addresses | length), (.real_addresses | length), .held_packets]' \
    '["web.corp.example","intranet","local","confirmed",8,2,0]'
run -p domain
claim "domain -p is one value, indented" one_json out
claim "domain -p is indented" out_has '    "domain": "web.corp.example",'
fails 1 "no domain 'no.example'" domain show no.example
run -j domain show no.example
claim "a refusal is JSON with -j" says 1 "{\"error\":\"no domain 'no.example'\"}"
run domain refresh web.corp.example
claim "domain refresh says nothing" says 0 ""
claim "domain refresh asks for it" asked '["domain refresh",{"name":"web.corp.example"}]'
run -j domain refresh web.corp.example
claim "domain refresh -j is one value" out_is null
fails 1 "'domain forget' is not a command of this daemon" domain forget web.corp.example

# The others that are only shown.
run resource
claim "resource wraps its filters" shows "tcp 443, tcp 8000-8100, icmp, udp 1"
run resource show intranet
claim "resource show NAME has its id" shows "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10"
fails 1 "'x' is not in 'resource show'" resource show x
run client
claim "client shows sessions and their limit" shows "65536"
run gateway
claim "gateway shows" shows "local"
run -j gateway
claim "gateway -j passes null on" out_jq '.[0].address' null
run grant
claim "grant shows state and source" shows "expired"
run config
claim "config is YAML" shows "  - name: lan0"
run -j config
claim "config -j is one value" out_jq .interfaces '[{"name":"lan0","mode":"auto"}]'
run version
claim "version names the daemon's" shows "daemon 9.9.9"

# What changes something.
run grant add resource intranet client lan
claim "grant add says nothing" says 0 ""
claim "grant add asks without expiry" asked '["grant add",{"client":"lan","resource":"intranet"}]'
run grant add client lan resource intranet expires 2027-01-01T02:00:00+02:00
claim "grant add asks with expiry in UTC" asked \
    '["grant add",{"client":"lan","expires":"2027-01-01T00:00:00Z","resource":"intranet"}]'
run grant del client lan resource intranet
claim "grant del asks" asked '["grant del",{"client":"lan","resource":"intranet"}]'
run session flush
claim "session flush without words flushes all" asked '["session flush",{}]'
claim "session flush says how many" out_is "3 sessions flushed"
run -j session flush domain Web.Corp.Example. client 192.0.2.0/24 proxy 100.96.0.1 real 2001:db8::1
claim "session flush passes all words, names in canonical form" asked \
    '["session flush",{"client":"192.0.2.0/24","domain":"web.corp.example","proxy":"100.96.0.1","real":"2001:db8::1"}]'
claim "session flush -j is the daemon's answer" out_is '{"flushed":3}'
run prog attach dev lan0
claim "prog attach asks for auto" asked '["prog attach",{"dev":"lan0","mode":"auto"}]'
claim "prog attach says mode and why" out_is "lan0: generic (the driver has no native XDP)"
run prog detach dev lan0
claim "prog detach asks" asked '["prog detach",{"dev":"lan0"}]'
claim "prog detach says so" out_is "lan0: detached"

# Places: what neither option nor environment says, the running daemon does.
unset FQDNAT_BPFFS
run stats
claim "the bpffs is the daemon's" grep -qF /nowhere/bpf "$dir/err"
run -b "$dir/given" stats
claim "an option goes before the daemon's place" grep -qF "$dir/given" "$dir/err"
export FQDNAT_BPFFS=$dir/no-bpffs

# Monitor: lines as they come, the end said, an interrupt is an end.
run monitor
claim "monitor prints an event a line" out_is \
    "2026-11-22T11:00:00.000Z domain domain=web.corp.example state=confirmed
2026-11-22T11:00:01.000Z refused reason=filtered packets=7"
claim "monitor ends with the daemon and says so" err_is "fqdnat: the daemon at $socket has ended"
claim "monitor's end is no failure" exits 0
run -j monitor
claim "monitor -j is a JSON value a line" test "$(jq -c .event "$dir/out" | tr '\n' ' ')" = '"domain" "refused" '

touch "$socket.stay"
"$fqdnat" -s "$socket" monitor >"$dir/out" 2>"$dir/err" </dev/null &
monitor=$!
two_lines() { [ "$(wc -l <"$dir/out")" -eq 2 ]; }
claim "monitor writes each event at once" until_true two_lines
kill -INT "$monitor"
wait "$monitor"
status=$?
claim "monitor ends well when interrupted" exits 0
claim "monitor has nothing to say then" silent err

claims_done
