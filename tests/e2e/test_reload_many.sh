#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# SIGHUP with ten thousand resources and grants: what has not changed is not touched. The maps of the
# policy are frozen, so that the kernel refuses every write of the daemon's.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

MANY=10000
FROZEN=(clients grants filters)

config() {
    lab_config
    awk -v many="$MANY" '
        /^grants:/ {
            for (i = 0; i < many; i++)
                printf "  - {id: 5f0a7c1e-6d0f-4f0e-9d3c-%012d, name: r%d, address: \"*.s%d.example\", " \
                    "filters: [{tcp: 80}]}\n", i, i, i
        }
        { print }
        END {
            for (i = 0; i < many; i++)
                printf "  - {client: lan, resource: r%d}\n", i
        }' "$LAB_CONFIG" >"$LAB_CONFIG.many"
    mv "$LAB_CONFIG.many" "$LAB_CONFIG"
}

log_count() { grep -c -- "$1" "$LAB_LOG/fqdnatd.log" || true; }
reloaded() { [ "$(log_count 'configuration reloaded')" -gt "$before" ]; }

# reload TEXT
reload() {
    before=$(log_count 'configuration reloaded')
    kill -HUP "$(lab_pid fqdnatd)"
    claim_until 30 "$1" reloaded
}

map() { bpftool -j map "$1" pinned "$LAB_BPFFS/maps/$2" "${@:3}"; }
entries() { map dump "$1" | jq length; }
proxies() { lab_fqdnat -j domain show | jq -c 'map({domain, proxy_addresses})'; }

e2e_lab
config
lab_daemon_start
settle web.corp.example confirmed
proxy=$(address web.corp.example)
claim_eq "a session" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"
claim_until 5 "the name is confirmed" state_is web.corp.example confirmed
claim_eq "every resource has a filter" "$((MANY + 3))" "$(entries filters)"
claim_eq "every grant is in its map" "$((MANY + 2))" "$(entries grants)"

for map in "${FROZEN[@]}"; do
    map freeze "$map" >/dev/null
done
before_proxies=$(proxies)
reload "the same configuration is read again"
claim_eq "nothing was written to the policy's maps" 0 "$(log_count 'cannot write to a map')"
claim_eq "domains have the addresses that they had" "$before_proxies" "$(proxies)"
claim_eq "the session goes on" "answers 1" "$(probe udp "$proxy" 7 --from-port 40001)"

# That frozen maps tell.
sed -i 's/\(name: r4711, .*tcp: \)80/\181/' "$LAB_CONFIG"
reload "one of them has changed"
claim_eq "that one is written, and no other" 1 "$(log_count 'cannot write to a map')"
