#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Checks docs/rfc.md against the tests: every file that a row names is in tests/, and has the tests that
# are named behind it: `prog/test_x.c`: `this_test`, `that_test`. A row (but for heads of tables) without
# a test says why in its last column: "n/a: ...".
set -euo pipefail
cd "$(dirname "$0")/.."

doc=docs/rfc.md
bad=0

complain() {
    echo "$doc:$1: $2" >&2
    bad=1
}

line=0
while IFS= read -r row; do
    line=$((line + 1))
    [[ $row == \|* && $row != "|---"* && $row != *"| test |" ]] || continue
    cell=${row%|*}
    cell=${cell##*| }
    file=
    # shellcheck disable=SC2016 # these are not the shell's
    names=$(grep -oE '`[^`]+`' <<<"$cell" | tr -d '`' || true)
    if [[ -z $names && $cell != "n/a: "* ]]; then
        complain "$line" "names no test, and no reason why (n/a: ...)"
    fi
    while IFS= read -r name; do
        case $name in
        "") ;;
        */test_*.c | */test_*.sh | */fuzz_*.c)
            file=tests/$name
            [[ -e $file ]] || complain "$line" "there is no $file"
            ;;
        *)
            grep -qsw -- "$name" "${file:-/dev/null}" || complain "$line" "no '$name' in ${file:-a file}"
            ;;
        esac
    done <<<"$names"
done <"$doc"
exit "$bad"
