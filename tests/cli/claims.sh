# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Sourced by the tests of the command line: runs fqdnat, compares what it says and how it ends,
# prints "ok"/"not ok" lines. claims_done at the end makes the exit status.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

fqdnat=${1:-${FQDNAT:-build/fqdnat}}
dir=$(mktemp -d)
socket=$dir/no.sock
trap 'rm -rf "$dir"' EXIT

passed=0
failed=0
status=0
export FQDNAT_BPFFS=$dir/no-bpffs FQDNAT_STATE=$dir/no-state
unset NO_COLOR

# run ARGS...: sets $status; output in $dir/out and $dir/err
run()
{
    "$fqdnat" -s "$socket" "$@" >"$dir/out" 2>"$dir/err" </dev/null
    status=$?
}

# claim TEXT COMMAND...: one test
claim()
{
    local text=$1
    shift
    if "$@"; then
        echo "ok - $text"
        passed=$((passed + 1))
    else
        echo "not ok - $text"
        sed 's/^/# out: /' "$dir/out"
        sed 's/^/# err: /' "$dir/err"
        echo "# status: $status"
        failed=$((failed + 1))
    fi
}

# What can be claimed of the last run.
exits() { [ "$status" -eq "$1" ]; }
silent() { [ ! -s "$dir/$1" ]; }
out_has() { grep -qF -- "$1" "$dir/out"; }
out_is() { [ "$(cat "$dir/out")" = "$1" ]; }
err_is() { [ "$(cat "$dir/err")" = "$1" ]; }
fits() { awk -v max="$1" 'length($0) > max { bad = 1 } END { exit bad }' "$dir/out"; }
one_json() { [ "$(jq -s length "$dir/$1" 2>/dev/null)" = 1 ]; }
one_line() { [ "$(wc -l <"$dir/$1")" -eq 1 ]; }
shows() { exits 0 && silent err && fits 100 && out_has "$1"; }
says() { exits "$1" && silent out && err_is "$2"; }
begins() { exits "$1" && silent out && [[ $(cat "$dir/err") == "$2"* ]]; }

# out_jq FILTER EXPECTED: what jq makes of the output
out_jq() { [ "$(jq -c "$1" "$dir/out" 2>&1)" = "$2" ]; }

# fails EXIT "ERROR" ARGS...: nothing on standard output, exactly that error
fails()
{
    local code=$1 error=$2
    shift 2
    run "$@"
    claim "fqdnat $*: exit $code, says why" says "$code" "fqdnat: $error"
}

# fails_with EXIT "BEGINNING" ARGS...: the same, the error only begins so
fails_with()
{
    local code=$1 error=$2
    shift 2
    run "$@"
    claim "fqdnat $*: exit $code, says $error..." begins "$code" "fqdnat: $error"
}

claims_done()
{
    echo "# $passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
