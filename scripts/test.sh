#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Install what is missing, build, and run every test. A line for each test program, the output of
# those that failed, the reason of each skip, the figures of those that have some ("# summary: TEXT").
# At the end the figures again; the last line is "N passed, M failed, K skipped".
#
# Test programs print TAP lines, see tests/lib/tap.awk; a skip without a reason is a failure. A program
# that ends with an error but without a failed test counts as one failure.
set -euo pipefail

cd "$(dirname "$0")/.."
jobs=${JOBS:-2}
limit_s=${TIMEOUT_S:-900}
logs=build/test-logs
verbose=0
no_build=0
passed=0
failed=0
skipped=0
summaries=() # "SUITE NAME: TEXT"

usage() {
    cat <<'USAGE'
usage: scripts/test.sh [-v] [-n] [SUITE [PATTERN]]      (as root)

  SUITE    all (default), or one of
           build   compiles without a warning with gcc and clang
           lint    format, shell scripts, man pages, list of behaviours, this script
           unit    unit and scenario tests, plain -O2; the session table's model and its race under TSan
           san     the same under ASan and UBSan
           clang   tests of the pure packet headers, built with clang
           prog    the BPF programs, by BPF_PROG_TEST_RUN
           cli     the command line
           e2e     end to end, in network namespaces
  PATTERN  only the test programs whose name contains it
  -v       print the output of passing tests, too
  -n       neither install nor build, run what is there

Environment: JOBS (2) run at the same time, TIMEOUT_S (900) for each test program.
USAGE
}

die() {
    echo "test.sh: $*" >&2
    exit 2
}

# --- running -----------------------------------------------------------------------------

# A test program's name: its folder and its file, unit/test_pool.
name_of() {
    local folder=${1%/*}
    echo "${folder##*/}/${1##*/}"
}

log_of() { echo "$logs/$1-${2//\//-}.log"; }

# One test program: run SUITE PROGRAM. Output and exit status go to its log.
run() {
    local log status=0
    log=$(log_of "$1" "$(name_of "$2")")
    CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$limit_s" "$2" >"$log" 2>&1 </dev/null || status=$?
    echo "$status" >"$log.status"
}

# Run the test programs of a suite, $jobs at a time, then report each.
run_suite() {
    local suite=$1 program running=0
    local -a programs=()
    shift
    for program in "$@"; do
        if [[ -e $program && ${program##*/} == *"$pattern"* ]]; then
            programs+=("$program")
        fi
    done
    if [[ ${#programs[@]} -eq 0 && -z $pattern ]]; then
        echo "FAIL  $suite: nothing to run; was it built?"
        failed=$((failed + 1))
        return
    fi
    for program in "${programs[@]}"; do
        if [ "$running" -ge "$jobs" ]; then
            wait -n || true
            running=$((running - 1))
        fi
        run "$suite" "$program" &
        running=$((running + 1))
    done
    wait
    for program in "${programs[@]}"; do
        report "$suite" "$(name_of "$program")"
    done
}

# Count the TAP lines of a log and print the program's line.
report() {
    local suite=$1 name=$2 log tally line status good bad skip word=ok
    log=$(log_of "$suite" "$name")
    status=$(cat "$log.status")
    tally=$(awk -f tests/lib/tap.awk "$log")
    read -r good bad skip <<<"$tally"
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "not ok - ended with status $status" >>"$log"
        [ "$status" -ne 124 ] || echo "# took longer than $limit_s s" >>"$log"
    fi
    if [ "$status" -eq 0 ] && [ $((good + bad + skip)) -eq 0 ]; then
        bad=1
        echo "not ok - reported no test at all" >>"$log"
    fi
    [ "$bad" -eq 0 ] || word=FAIL
    passed=$((passed + good))
    failed=$((failed + bad))
    skipped=$((skipped + skip))
    printf '%-4s  %-6s %-28s %s\n' "$word" "$suite" "$name" "$(counts "$good" "$bad" "$skip")"
    sed '1d; s/^/        /' <<<"$tally"
    while read -r line; do
        summaries+=("$suite $name: ${line#summary: }")
    done < <(grep '^summary: ' <<<"$tally")
    if [ "$bad" -ne 0 ]; then
        echo "        $log:"
        grep -vE '^ok |^$|^  [A-Z]+ +[^ ]+$' "$log" | tail -n 40 | sed 's/^/        /'
    elif [ "$verbose" -eq 1 ]; then
        sed 's/^/        /' "$log"
    fi
}

counts() {
    local text="$1 passed"
    [ "$2" -eq 0 ] || text+=", $2 failed"
    [ "$3" -eq 0 ] || text+=", $3 skipped"
    echo "$text"
}

# A check that is not a test program: check SUITE NAME COMMAND...
check() {
    local suite=$1 name=$2 log
    log=$(log_of "$suite" "$name")
    shift 2
    if "$@" >"$log" 2>&1; then
        echo "ok 1 - $name" >>"$log"
        echo 0 >"$log.status"
    else
        echo "not ok 1 - $name" >>"$log"
        echo 1 >"$log.status"
    fi
    report "$suite" "$name"
}

# --- suites ------------------------------------------------------------------------------

suite_build() {
    check build gcc make -j"$jobs" all tests CFLAGS="-O2 -g -Werror"
    check build clang-16 make -j"$jobs" BUILD=build/clang CC=clang-16 CFLAGS="-O2 -g -Werror" user tests
    check build sanitizers make -j"$jobs" BUILD=build/san SAN=1 tests
    check build fuzzers make -j"$jobs" fuzz-build
    check build stack scripts/bpf-stack.py build/fqdnat*.bpf.o
    check build install installs
}

# The usual layout, and nothing left of it afterwards.
installs() {
    local stage=$PWD/build/stage file
    rm -rf "$stage"
    make -s install DESTDIR="$stage" PREFIX=/usr
    for file in usr/sbin/fqdnatd usr/sbin/fqdnat usr/share/man/man8/fqdnat.8 \
        usr/share/man/man8/fqdnatd.8 usr/share/man/man5/fqdnat.yaml.5 \
        usr/lib/systemd/system/fqdnatd.service etc/fqdnat/fqdnat.yaml.example; do
        test -s "$stage/$file" || { echo "$file is not installed"; return 1; }
    done
    make -s uninstall DESTDIR="$stage" PREFIX=/usr
    file=$(find "$stage" -type f)
    test -z "$file" || { echo "left by uninstall: $file"; return 1; }
}

suite_lint() {
    run_suite lint tests/lib/test_*.sh
    check lint format-and-scripts make lint
    check lint bootstrap scripts/bootstrap.sh --test
    check lint behaviours scripts/check-behaviours.sh
    check lint rfc scripts/check-rfc.sh
}

suite_unit() {
    run_suite unit build/tests/unit/test_* build/tests/scenario/test_* tests/model/check.sh
    [ -n "$pattern" ] || check unit table-race-tsan make race
}
suite_san() { run_suite san build/san/tests/unit/test_* build/san/tests/scenario/test_*; }
suite_clang() { run_suite clang build/clang/tests/unit/test_pkt_*; }
suite_prog() { run_suite prog build/tests/prog/test_*; }
suite_cli() { run_suite cli tests/cli/test_*.sh; }
suite_e2e() { run_suite e2e tests/e2e/test_*.sh; }

main() {
    local suite suites=(build lint unit san clang prog cli e2e)
    while [[ ${1-} == -* ]]; do
        case $1 in
        -v) verbose=1 ;;
        -n) no_build=1 ;;
        -h | --help)
            usage
            return
            ;;
        *) die "\"$1\" is unknown; expected -v, -n or --help" ;;
        esac
        shift
    done
    suite=${1:-all}
    pattern=${2-}
    [ $# -le 2 ] || die "expected a suite and a pattern at most"
    [[ $suite == all || " ${suites[*]} " == *" $suite "* ]] ||
        die "\"$suite\" is unknown; expected all ${suites[*]}"
    [ "$(id -u)" = 0 ] || die "must be root: tests make network namespaces and load BPF programs"
    [ "$suite" = all ] || suites=("$suite")

    mkdir -p "$logs"
    if [ "$no_build" -eq 0 ]; then
        scripts/bootstrap.sh --test
        # A suite of its own: only build what it runs.
        [ "$suite" = all ] || build_for "$suite"
    fi
    for suite in "${suites[@]}"; do
        [[ $suite == build && $no_build == 1 ]] || "suite_$suite"
        # Without a build, the rest would test what was built some other day.
        [[ $suite != build || $failed == 0 ]] || break
    done

    echo
    [ ${#summaries[@]} -eq 0 ] || printf '%s\n' "${summaries[@]}" ""
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
}

build_for() {
    case $1 in
    build | lint) ;;
    san) make -s -j"$jobs" BUILD=build/san SAN=1 tests >/dev/null ;;
    clang) make -s -j"$jobs" BUILD=build/clang CC=clang-16 tests >/dev/null ;;
    *) make -s -j"$jobs" all tests >/dev/null ;;
    esac
}

main "$@"
