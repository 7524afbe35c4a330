#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The command line with a running daemon: JSON keys that scripts rely on, words, tables, monitor.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

e2e_up
settle web.corp.example confirmed
settle nx.corp.example failed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)
probe udp "$v4" 7 --from-port 40001 >/dev/null
probe udp "$v6" 7 >/dev/null
probe tcp "$v6" 80 >/dev/null
lab_client ping -n -c 1 -W 2 "$v4" >/dev/null
probe tcp "$v4" 8000 >/dev/null

# keys OBJECT KEY...: `show` is an array, not empty, each element with these keys.
keys() {
    local object=$1 key
    shift
    lab_fqdnat -j "$object" show >"$LAB_RUN/out.json"
    claim "$object show is a JSON array" jq -e 'type == "array" and length > 0' "$LAB_RUN/out.json"
    claim_eq "$object show -j is one line" 1 "$(wc -l <"$LAB_RUN/out.json")"
    for key in "$@"; do
        # shellcheck disable=SC2016 # jq's variable
        claim "$object has $key" jq -e --arg k "$key" 'all(.[]; has($k))' "$LAB_RUN/out.json"
    done
    claim_eq "$object, pretty" array "$(lab_fqdnat -p "$object" show | jq -r type)"
    claim "$object alone shows it, in 100 columns" test "$(lab_fqdnat "$object" | wc -L)" -le 100
}

keys domain domain resource gateway state proxy_addresses real_addresses held_packets
keys proxy address domain client state real_address
keys session protocol client client_port proxy port nat nat_port real real_port domain client_name \
    state packets_out bytes_out packets_in bytes_in idle_s expires_s
keys stats reason packets bytes text
keys prog dev mode id run_cnt run_time_ns
keys resource id name address
keys client name prefixes
keys grant client resource
keys gateway name state

# What the values are.
# (Asked for again less than 2 s ago, it is recreating for a while.)
claim_until 8 "a confirmed domain" state_is web.corp.example confirmed
claim_eq "eight proxy addresses" 8 "$(lab_fqdnat -j domain show web.corp.example | jq '.[0].proxy_addresses | length')"
claim_eq "its real addresses" '["198.51.100.10","2001:db8:2::10"]' \
    "$(lab_fqdnat -j domain show web.corp.example | jq -c '.[0].real_addresses | sort')"
claim_eq "a failed one" failed "$(lab_fqdnat -j domain show nx.corp.example | jq -r '.[0].state')"
claim_eq "a session's ends" '["192.0.2.2",40001,"198.51.100.1","198.51.100.10",7,"web.corp.example","lan"]' \
    "$(lab_fqdnat -j session show | jq -c '.[] | select(.client_port == 40001) |
        [.client, .client_port, .nat, .real, .real_port, .domain, .client_name]')"
claim_eq "its packets" '[1,1]' "$(lab_fqdnat -j session show |
    jq -c '.[] | select(.client_port == 40001) | [.packets_out, .packets_in]')"
claim_eq "its bytes" '[29,29]' "$(lab_fqdnat -j session show |
    jq -c '.[] | select(.client_port == 40001) | [.bytes_out, .bytes_in]')"
claim_eq "ping's id stands for both ports" true "$(lab_fqdnat -j session show |
    jq 'any(.[]; (.protocol | test("icmp"; "i")) and (.client_port | type) == "number" and (.nat_port | type) == "number")')"
claim_eq "every reason has a sentence" true \
    "$(lab_fqdnat -j stats show | jq 'all(.[]; .text | length > 10)')"

# Words select.
claim_eq "session show domain" true "$(lab_fqdnat -j session show domain web.corp.example |
    jq 'length >= 3 and all(.[]; .domain == "web.corp.example")')"
claim_eq "session show proxy" true "$(lab_fqdnat -j session show proxy "$v6" |
    jq 'length >= 1 and all(.[]; .proxy == "'"$v6"'")')"
claim_eq "session show real" true "$(lab_fqdnat -j session show real 198.51.100.10 |
    jq 'length >= 2 and all(.[]; .real == "198.51.100.10")')"
claim_eq "session show client" true "$(lab_fqdnat -j session show client 192.0.2.2 |
    jq 'length >= 2 and all(.[]; .client == "192.0.2.2")')"
claim_eq "what matches nothing is an empty array" '[]' "$(lab_fqdnat -j session show real 198.51.100.99 | jq -c .)"

# Errors.
status=0
lab_fqdnat domain shwo >"$LAB_RUN/out" 2>"$LAB_RUN/err" || status=$?
claim_eq "a wrong word: exit status 2" 2 "$status"
claim_eq "a wrong word: nothing on stdout" "" "$(cat "$LAB_RUN/out")"
claim_match "a wrong word is named, with what was expected" 'shwo.*show' "$(tr '\n' ' ' <"$LAB_RUN/err")"
status=0
lab_fqdnat domain show unknown.corp.example >/dev/null 2>"$LAB_RUN/err" || status=$?
claim "a name nobody asked for: an error or nothing, no crash" test "$status" -le 1
status=0
lab_fqdnat -j domain refresh unknown.invalid >"$LAB_RUN/out" 2>"$LAB_RUN/err" || status=$?
claim_eq "a command that cannot be done: exit status 1" 1 "$status"
claim "with -j the error is JSON" jq -e 'has("error")' "$LAB_RUN/err"

# Commands.
claim "domain refresh" lab_fqdnat domain refresh web.corp.example
claim "domain forget" lab_fqdnat domain forget nx.corp.example
claim_eq "it is forgotten" 0 "$(lab_fqdnat -j domain show | jq '[.[] | select(.domain == "nx.corp.example")] | length')"
claim "session flush by domain" lab_fqdnat session flush domain web.corp.example
claim_eq "they are gone" 0 "$(sessions domain web.corp.example)"
claim "config show" lab_fqdnat config show
claim "version" lab_fqdnat version
claim "prog profile" lab_fqdnat -j prog profile 1

# The kernel measures for as long as a file is open: also who is killed leaves nothing switched on.
lab_spawn profile "$LAB_GW" "$LAB_BUILD/fqdnat" -b "$LAB_BPFFS" prog profile 600
measures() { readlink "/proc/$1"/fd/* | grep -q '^anon_inode:bpf-stats$'; }
setting=$(cat /proc/sys/kernel/bpf_stats_enabled)
claim_until 5 "prog profile measures through a file that ends with it" measures "$(lab_pid profile)"
claim_eq "and leaves the setting for all as it is" "$setting" "$(cat /proc/sys/kernel/bpf_stats_enabled)"
lab_stop profile

# The monitor follows live, a line each.
lab_spawn monitor "$LAB_GW" "$LAB_BUILD/fqdnat" -s "$LAB_SOCKET" -j monitor
event() {
    ask four.corp.example
    jq -e 'select(tostring | test("four.corp.example")) | has("time") and has("event")' "$LAB_LOG/monitor.log"
}
claim_until 5 "monitor shows a domain's change as it happens" event

# Who may talk to the daemon: root.
claim_eq "the control socket is not for everybody" 0 "$(($(stat -c '0%a' "$LAB_SOCKET") & 07))"

# Logs as JSON lines.
lab_daemon_stop
: >"$LAB_LOG/fqdnatd.log"
lab_daemon_start --log-format json
settle web.corp.example confirmed
claim "the log is JSON lines with time, level and message" jq -es 'length > 0 and
    all(.[]; has("time") and has("level") and has("message"))' "$LAB_LOG/fqdnatd.log"
