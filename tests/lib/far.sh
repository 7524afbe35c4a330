# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A resource two hops away, behind a narrow link; sourced after e2e.sh:
#
#     client ── gateway ── net ── 1300 ── far

# shellcheck disable=SC2154 # e2e_name is of e2e.sh
far=fqdnat-$$-${e2e_name#test_}-far

# The hosts believe that their path is as wide as usual, and say so to their peers (advmss). The name
# "far" has both addresses.
far_up() {
    lab_netns "$far"
    lab_link "$LAB_NET" far0 "$far" eth0
    lab_address "$LAB_NET" far0 203.0.113.1/24 2001:db8:99::1/64
    lab_address "$far" eth0 203.0.113.80/24 2001:db8:99::80/64
    lab_sysctl "$LAB_NET" net/ipv4/ip_forward=1 net/ipv6/conf/all/forwarding=1
    # Linux sends an ICMP error a second to each host; the tools ask more often.
    lab_sysctl "$LAB_NET" net/ipv4/icmp_ratelimit=0 net/ipv6/icmp/ratelimit=0
    lab_sysctl "$far" net/ipv4/icmp_ratelimit=0 net/ipv6/icmp/ratelimit=0
    ip -n "$far" route add default via 203.0.113.1 advmss 1460
    ip -n "$far" -6 route add default via 2001:db8:99::1 advmss 1440
    ip -n "$LAB_GW" route add 203.0.113.0/24 via 198.51.100.2
    ip -n "$LAB_GW" -6 route add 2001:db8:99::/64 via 2001:db8:2::2
    ip -n "$LAB_NET" link set far0 mtu 1300
    ip -n "$far" link set eth0 mtu 1300
    lab_spawn far-servers "$far" /usr/bin/python3 "$LAB_ROOT/scripts/lab-servers.py" \
        203.0.113.80 2001:db8:99::80
    lab_spawn far-iperf3 "$far" iperf3 --server --bind 203.0.113.80
    lab_spawn far-iperf3-6 "$far" iperf3 --server --bind 2001:db8:99::80
    E2E_IPERF_AT+=("$far")
    lab_until 10 grep -qs ready "$LAB_LOG/far-servers.log"
    lab_zone set far 60 A 203.0.113.80
    lab_zone set far 60 AAAA 2001:db8:99::80
}
