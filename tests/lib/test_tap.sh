#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# How scripts/test.sh reads what a test program prints: counts, and the reason of every skip.
set -euo pipefail
cd "$(dirname "$0")/../.."

failed=0

# comes_to TEXT OUTPUT EXPECTED
comes_to() {
    local got
    got=$(printf '%s\n' "$2" | awk -f tests/lib/tap.awk)
    if [ "$got" = "$3" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        printf '%s\n' "expected: $3" "got:      $got" | sed 's/^/# /'
        failed=1
    fi
}

comes_to "passed and failed tests are counted" $'1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c\n# ok - tests' \
    "2 1 0"
comes_to "other lines are not" $'okay\n# not ok\n  ok 1 - a\nnot ok\nok' "1 1 0"
comes_to "a skip says why" 'ok 7 - by the dispatcher # SKIP this kernel has none' \
    $'0 0 1\nskip by the dispatcher: this kernel has none'
comes_to "cmocka's skip has its reason on a line before" \
    $'# skip: needs two CPUs\nnot ok 2 # SKIP two_cpus\nok 3 - next' \
    $'1 0 1\nskip two_cpus: needs two CPUs'
comes_to "a skip without a reason has failed" 'not ok 2 # SKIP two_cpus' \
    $'0 1 0\nno reason is given for skipping two_cpus'
comes_to "so has a script's" 'ok 2 - by the dispatcher # SKIP' \
    $'0 1 0\nno reason is given for skipping by the dispatcher'
comes_to "and one that says nothing at all" 'ok 2 # SKIP' \
    $'0 1 0\nno reason is given for skipping a test'
comes_to "a reason is for one skip only" \
    $'# skip: needs two CPUs\nnot ok 1 # SKIP one\nnot ok 2 # SKIP two' \
    $'0 1 1\nskip one: needs two CPUs\nno reason is given for skipping two'
comes_to "and not for one that comes after another test" \
    $'# skip: needs two CPUs\nok 1 - one\nnot ok 2 # SKIP two' \
    $'1 1 0\nno reason is given for skipping two'
comes_to "figures are passed on" $'ok 1 - runs\n# summary: 3 runs, seeds 1..3\n# took 2 s' \
    $'1 0 0\nsummary: 3 runs, seeds 1..3'
comes_to "but not where they are part of something else" $'summary: 3\n  # summary: 4\n# a summary: 5' "0 0 0"
comes_to "beside skips, in the order of the output" \
    $'# summary: 3 runs\n# skip: needs two CPUs\nnot ok 1 # SKIP one\n# summary: 4 runs' \
    $'0 0 1\nsummary: 3 runs\nskip one: needs two CPUs\nsummary: 4 runs'
comes_to "a summary does not take a skip's reason away" \
    $'# skip: needs two CPUs\n# summary: 3 runs\nnot ok 1 # SKIP one' \
    $'0 0 1\nsummary: 3 runs\nskip one: needs two CPUs'
comes_to "no line, no test" "" "0 0 0"
exit "$failed"
