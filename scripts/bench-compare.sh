#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Which of fqdnat's ratios got worse than the committed ones.
#
#     scripts/bench-compare.sh build/bench.json            exit status 1: some by more than 15 %
#     scripts/bench-compare.sh --update build/bench.json   commit these (of a quiet machine)
#
# Ratios only, because nanoseconds are another machine's; without the rarest echoes, which no two runs have in
# common. Part of a review, not of the tests.
set -euo pipefail
baseline=$(dirname "$0")/../tests/bench/baseline.json
tolerance=1.15

# {"NAME, N flows / OTHER": {"ratio", "lower_is_better"}}
ratios() {
    jq '[.figures[]
        | select(.name | test("^(fqdnat|nat|tcp44|refused|translations|verdicts)") and (test("p99[.]9$") | not))
        | . as $f | .ratio_to | to_entries[]
        | {key: "\($f.name), \($f.flows) flows / \(.key)",
           value: {ratio: (.value * 1000 | round / 1000), lower_is_better: ($f.unit | test("pps") | not)}}]
        | from_entries' "$1"
}

case ${1-} in
--update)
    ratios "${2:?a file of the benchmark is missing}" >"$baseline.new"
    mv "$baseline.new" "$baseline"
    exit
    ;;
'' | -*)
    sed -n '3,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
[ -e "$baseline" ] || {
    echo "bench-compare.sh: there is no $baseline yet; make one on a quiet machine with --update" >&2
    exit 2
}

ratios "$1" | jq -r --slurpfile old "$baseline" --argjson tolerance "$tolerance" '
    [to_entries[] | select($old[0][.key]) | {key, new: .value.ratio, old: $old[0][.key].ratio}
        + {worse: (if .value.lower_is_better then .value.ratio / $old[0][.key].ratio
                   else $old[0][.key].ratio / .value.ratio end)}] as $all
    | ($all | map(select(.worse > $tolerance))) as $bad
    | ($bad[] | "worse: \(.key): \(.old) -> \(.new)"),
      "\($all | length) ratios compared, \($bad | length) worse by more than \(($tolerance - 1) * 100 | round) %",
      (if ($all | length) == 0 or ($bad | length) > 0 then "failed" else empty end)' |
    awk '/^failed$/ { bad = 1; next } { print } END { exit bad }'
