#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The DNS server of the edge, from a client's side: what is answered here, what goes upstream.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.2/32, "2001:db8:1::2/128"]}'
e2e_up
lab_address "$LAB_CLIENT" eth0 192.0.2.99/24

# The header line and counts of an answer: status, flags, number of answers.
dig_status() { lab_client dig +tries=1 +time=20 "$@" | sed -n 's/.*status: \([A-Z]*\),.*/\1/p'; }
dig_flags() { lab_client dig +tries=1 +time=20 "$@" | sed -n 's/^;; flags: \([a-z ]*\);.*/\1/p'; }
dig_answers() { lab_client dig +tries=1 +time=20 "$@" | sed -n 's/.*ANSWER: \([0-9]*\),.*/\1/p'; }
dig_short() { lab_client dig +tries=1 +time=20 +short "$@"; }

# D-01: the table of query types, cell by cell.
claim_eq "A of a resource: four answers" 4 "$(dig_answers web.corp.example A)"
claim_eq "AAAA of a resource: four answers" 4 "$(dig_answers web.corp.example AAAA)"
claim_match "A of a resource: TTL 1" $'[ \t]1[ \t]+IN[ \t]+A[ \t]' \
    "$(lab_client dig +noall +answer web.corp.example A)"
proxy4=$(address web.corp.example)
proxy6=$(address web.corp.example AAAA)
claim_eq "PTR of an IPv4 proxy address" web.corp.example. "$(dig_short -x "$proxy4")"
claim_eq "PTR of an IPv6 proxy address" web.corp.example. "$(dig_short -x "$proxy6")"
claim_eq "HTTPS of a resource: no answer" 0 "$(dig_answers web.corp.example HTTPS)"
claim_eq "HTTPS of a resource: no error" NOERROR "$(dig_status web.corp.example HTTPS)"
claim_eq "TXT of a resource: from the site's resolver" '"the site'"'"'s own text record"' \
    "$(dig_short web.corp.example TXT)"
claim_eq "SRV of a resource: from the site's resolver" '0 0 80 web.corp.example.' \
    "$(dig_short _http._tcp.corp.example SRV)"
claim_eq "MX of a resource: from upstream" '10 mail.example.' "$(dig_short web.corp.example MX)"
claim_eq "A of another name: from upstream" 198.51.100.11 "$(dig_short www.example A)"
claim_eq "AAAA of another name: from upstream" 2001:db8:2::11 "$(dig_short www.example AAAA)"
claim_eq "another name that does not exist: NXDOMAIN" NXDOMAIN "$(dig_status nothing.example A)"
claim_eq "PTR of another address: from upstream" web.corp.example. "$(dig_short -x 198.51.100.10)"
claim_eq "the canary of DNS over HTTPS: NXDOMAIN" NXDOMAIN "$(dig_status use-application-dns.net A)"
claim_eq "the canary, any type" NXDOMAIN "$(dig_status use-application-dns.net TXT)"

# D-04: over TCP, over IPv6, with and without EDNS.
claim_eq "over TCP" 4 "$(dig_answers +tcp web.corp.example A)"
claim_eq "over IPv6" 4 "$(dig_answers @2001:db8:1::1 web.corp.example A)"
claim_eq "without EDNS" 4 "$(dig_answers +noedns web.corp.example AAAA)"
claim_match "with EDNS, the answer has it, too" 'EDNS: version: 0' "$(lab_client dig web.corp.example A)"
claim_match "too large for UDP: truncated" '\<tc\>' "$(dig_flags +ignore +bufsize=512 big.example TXT)"
claim_eq "too large for UDP: whole over TCP" 24 "$(dig_answers big.example TXT)"
claim_eq "several queries on one TCP connection" 2 \
    "$(lab_client dig +tcp +keepopen +short web.corp.example A four.corp.example A | grep -c '\.1$\|\.5$')"
claim_eq "the name comes back as it was asked, letter by letter" "WeB.CoRp.ExAmPlE." \
    "$(lab_client dig +noall +answer WeB.CoRp.ExAmPlE A | awk 'NR == 1 {print $1}')"

# D-04: malformed messages are dropped or answered FORMERR, and counted; the server goes on.
before=$(reason dns_malformed)
claim_eq "a header cut short is not answered" timeout \
    "$(probe dns 192.0.2.1 123401000001 --timeout 0.5)"
claim_eq "a response is not answered" timeout \
    "$(probe dns 192.0.2.1 "123481800001000000000000 03777777 00 0001 0001" --timeout 0.5)"
claim_match "a question that is not there: FORMERR" '^bytes 1234..[0-9a-f]1' \
    "$(probe dns 192.0.2.1 123401000001000000000000)"
claim_match "an unknown opcode: NOTIMP" '^bytes 1234..[0-9a-f]4' \
    "$(probe dns 192.0.2.1 "123411000001000000000000 03777777 00 0001 0001")"
claim "malformed messages are counted" grown dns_malformed "$before"
claim_eq "the server goes on" 4 "$(dig_answers web.corp.example A)"

# Only clients are served.
before=$(reason dns_refused)
claim_eq "a stranger is refused" REFUSED "$(dig_status -b 192.0.2.99 web.corp.example A)"
claim "and counted" grown dns_refused "$before"

# M-03, M-04: what matches no pattern is not ours.
claim_eq "a name two labels below *.corp.example is not the resource's" NXDOMAIN \
    "$(dig_status a.b.corp.example A)"

# D-06: an upstream answer is cached; its TTL counts down. (Not for a query with a DNS cookie, which is meant
# for one server.)
ttl() { lab_client dig +nocookie +noall +answer mail.example A | awk '{print $2}'; }
ttl_is_less() { [ "$(ttl)" -lt 60 ]; }
claim_eq "an upstream answer has its TTL" 60 "$(ttl)"
claim_until 5 "from the cache, it has less" ttl_is_less

# D-05: no upstream, no answer for what is not ours; the client's own names go on.
lab_stop knotd
claim_eq "upstream gone: resources are still answered" 4 "$(dig_answers web.corp.example A)"
claim_match "upstream gone: another name gets SERVFAIL or no answer" '^(SERVFAIL)?$' \
    "$(dig_status +time=3 other.example A)"
