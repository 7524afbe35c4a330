#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Which lines of the programs take the time of a measurement of the benchmark.
#
#     tests/bench/lines.sh --only ns --flows 1          (as root; DELAY=10 SECONDS_EACH=8)
#
# The arguments are the benchmark's, best with --rounds 50: it has to go on for that long. DELAY seconds after its
# start (opening a million sessions takes 20) its CPU is sampled; then it is stopped where it is, because the programs are gone
# with it, and ended when their lines have been read.
set -euo pipefail
cd "$(dirname "$0")/../.."
BUILD=${LAB_BUILD:-$PWD/build}
DELAY=${DELAY:-10}
SECONDS_EACH=${SECONDS_EACH:-8}
RUN=$(mktemp -d)
bench=

cleanup() {
    if [ -n "$bench" ]; then
        kill -CONT "$bench" 2>/dev/null || true
        kill "$bench" 2>/dev/null || true
        wait "$bench" 2>/dev/null || true
    fi
    rm -rf "$RUN"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

command -v perf >/dev/null || {
    echo "lines.sh: perf is missing: scripts/bootstrap.sh --bench installs it" >&2
    exit 1
}
"$BUILD/bench" "$@" >"$RUN/bench.txt" 2>&1 &
bench=$!
sleep "$DELAY"
if ! kill -0 "$bench" 2>/dev/null ||
    ! perf record -q -e cpu-clock -F 9999 -t "$bench" -o "$RUN/perf.data" -- sleep "$SECONDS_EACH" ||
    ! kill -STOP "$bench" 2>/dev/null; then
    echo "lines.sh: the benchmark ended within $((DELAY + SECONDS_EACH)) s: more --rounds, or a shorter DELAY; it said:" >&2
    cat "$RUN/bench.txt" >&2
    exit 1
fi
perf script -i "$RUN/perf.data" -F ip,sym | "$BUILD/bench-lines"
