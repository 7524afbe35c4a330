#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The model of the session table (table.pml): every order of steps of the protocol as it is, and every
# planted mistake, which has to be found. TAP. With --more, further programs' runs (minutes).
set -euo pipefail

model=$(realpath "$(dirname "$0")")/table.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

bugs=(NO_GRACE BLIND EARLY UNORDERED BIT_FIRST)
removals=1
[ "${1-}" != --more ] || removals=2

# verify OPTION...: what the verifier says goes to out.
verify() {
    spin -a -DRUNS=2 -DREMOVALS="$removals" "$@" "$model" >/dev/null
    gcc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c
    ./pan -m200000 >out 2>&1
}

# Everything was looked at: neither the depth nor memory has run out.
complete() {
    ! grep -qE 'max search depth too small|out of memory|truncated' out
}

tap() {
    echo "$1 $2 - $3"
    [ "$1" = ok ] || { sed 's/^/# /' out && failed=1; }
}

failed=0
echo "1..$((1 + ${#bugs[@]}))"
verify
if grep -q 'errors: 0$' out && complete; then
    tap ok 1 "the protocol holds ($(awk '/states, stored/ { print $1 }' out) states)"
else
    tap 'not ok' 1 'the protocol holds'
fi
n=1
for bug in "${bugs[@]}"; do
    n=$((n + 1))
    verify -DBUG_"$bug"
    if grep -q 'assertion violated' out; then
        tap ok $n "planted mistake $bug is found"
    else
        tap 'not ok' $n "planted mistake $bug is found"
    fi
done
exit $failed
