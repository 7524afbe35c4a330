#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What is not allowed is refused at once, with the right ICMP error, from the proxy address.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

LAB_CLIENTS='  - {name: lan, prefixes: [192.0.2.2/32, "2001:db8:1::2/128"]}'
e2e_up
lab_address "$LAB_CLIENT" eth0 192.0.2.99/24
# Deprecated: used only where a test asks for it.
ip -n "$LAB_CLIENT" address add 2001:db8:1::99/64 dev eth0 nodad preferred_lft 0
settle web.corp.example confirmed
v4=$(address web.corp.example)
v6=$(address web.corp.example AAAA)

# refused TEXT REASON ICMP COMMAND...: the client gets ICMP (type, code, source), REASON counts it.
refused() {
    local text=$1 name=$2 icmp=$3 before
    shift 3
    before=$(reason "$name")
    claim_eq "$text: $icmp" "icmp $icmp" "$(probe "$@")"
    claim "$text: counted as $name" grown "$name" "$before"
}

# G-24, F-02: the filter denies the port.
refused "TCP port not in the filter" filtered "3 13 $v4" tcp "$v4" 8000
refused "UDP port not in the filter" filtered "3 13 $v4" udp "$v4" 9007
refused "TCP port not in the filter, IPv6" filtered "1 1 $v6" tcp "$v6" 8000
refused "UDP port not in the filter, IPv6" filtered "1 1 $v6" udp "$v6" 9007
claim_eq "a port in the filter passes" connected "$(probe tcp "$v4" 80)"

# G-21: the source is no client.
refused "a stranger" not_a_client "3 13 $v4" tcp "$v4" 80 --from 192.0.2.99
refused "a stranger, IPv6" not_a_client "1 1 $v6" tcp "$v6" 80 --from 2001:db8:1::99

# G-25: a proxy address that nobody has.
refused "a proxy address without a domain" no_translation "3 0 100.111.1.1" udp 100.111.1.1 7
refused "a proxy address without a domain, IPv6" no_translation "1 3 fd00:2021:1111:8000::1:234" \
    udp fd00:2021:1111:8000::1:234 7

# G-26: no address of this family, while the other works.
settle four.corp.example confirmed
settle six.corp.example confirmed
four6=$(address four.corp.example AAAA)
six4=$(address six.corp.example A)
refused "IPv6 of a name with IPv4 only" no_family "1 3 $four6" tcp "$four6" 80
refused "IPv4 of a name with IPv6 only" no_family "3 0 $six4" tcp "$six4" 80
claim_match "applications fail over: IPv4 only" '^198\.51\.100\.10 ' \
    "$(lab_client curl -sS -m 5 http://four.corp.example/who)"
claim_match "applications fail over: IPv6 only" '^2001:db8:2::10 ' \
    "$(lab_client curl -sS -m 5 http://six.corp.example/who)"

# G-01: a resource without a grant fails its domains; the resolver is not bothered.
ask vault.priv.example
claim_until 5 "a domain of a resource that nobody is granted fails" state_is vault.priv.example failed
vault=$(lab_fqdnat -j domain show vault.priv.example | jq -r '.[0].proxy_addresses[0]')
refused "a packet to it" domain_failed "3 0 $vault" tcp "$vault" 80

# Addresses that a gateway must not NAT to: the domain has none that is usable.
ask loop.corp.example
claim_until 5 "a name with loopback addresses only fails" state_is loop.corp.example failed
ask pool.corp.example
claim_until 5 "a name with an address of the pool only fails" state_is pool.corp.example failed

# F-01: a resource without filters permits every port.
settle any.open.example confirmed
open=$(address any.open.example)
claim_eq "a resource without filters: TCP 8000" connected "$(probe tcp "$open" 8000)"
claim_eq "a resource without filters: UDP 9007" "answers 1" "$(probe udp "$open" 9007)"

# F-06: rights belong to the proxy address, although both names are one server.
settle files.corp.example confirmed
files=$(address files.corp.example)
refused "the same server by another resource's name" filtered "3 13 $files" tcp "$files" 8000

# G-32: refusals are rate-limited.
before=$(reason icmp_limited)
lab_client ping -n -f -c 400 -W 1 100.111.1.2 >/dev/null || true
claim "a flood is not answered one by one" grown icmp_limited "$before"

# The kernel's own traffic is left alone.
claim "the gateway itself answers ping" lab_client ping -n -c 1 -W 2 192.0.2.1
claim "and ping over IPv6" lab_client ping -n -c 1 -W 2 2001:db8:1::1
