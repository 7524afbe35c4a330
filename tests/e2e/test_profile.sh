#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# scripts/profile.sh leaves what it promises, with the names of functions and programs in it. Another
# lab than the other tests' is made by the script itself; only its leavings are looked at here.
set -euo pipefail
# shellcheck source=tests/lib/e2e.sh
. "$(dirname "$0")/../lib/e2e.sh"

OUT=$(mktemp -d)
export OUT NAMES=200
trap 'rm -rf "$OUT"; echo "1..$e2e_count"; exit $((e2e_failed > 0))' EXIT

# Whether perf can sample by a timer here: not as a guest's guest, not without privileges.
can_sample() {
    command -v perf && perf record -q -e cpu-clock -o "$OUT/try" -- true
}

seen() { grep -q -- "$2" "$OUT/$1"; }
is_svg() { python3 -c 'import sys, xml.dom.minidom as m; assert m.parse(sys.argv[1]).getElementsByTagName("rect")' "$OUT/flame.svg"; }

# profile LOAD TOOL FUNCTION [IN-REPORT]   the report leaves out what takes next to nothing
profile() {
    if ! command -v "$2" >/dev/null; then
        skip "a profile of $1" "no $2"
        return
    fi
    claim "a profile of $1 is made" "$E2E_ROOT/scripts/profile.sh" "$1" 2
    claim "$1: the report names functions" seen report.txt "${4-$3}"
    claim "$1: the text for profiler.firefox.com, too" seen firefox.txt "$3"
    claim "$1: so do the folded stacks" seen folded.txt "${3/bpf_prog_*_/bpf:}"
    claim "$1: the flame graph is one" is_svg
}

if can_sample >/dev/null 2>&1; then
    profile dns dnsperf stub_handle 'fqdnatd  *\[\.\] [a-z]'
    profile packets iperf3 'bpf_prog_.*_fqdnat'
else
    skip "profiles" "perf is missing or may not sample"
fi
