#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Where the time goes: a lab of its own (scripts/lab.sh) under load, watched by perf.
#
#     scripts/profile.sh dns [SECONDS]        the daemon: NAMES (10000) confirmed names asked by dnsperf
#     scripts/profile.sh packets [SECONDS]    the programs: small UDP datagrams through a proxy address
#
# Needs root, perf, python3, and dnsperf or iperf3. Leaves in OUT (build/profile):
#
#     perf.data      for perf report, perf annotate
#     report.txt     functions by their own time, with the share of each
#     firefox.txt    what profiler.firefox.com opens ("Load a profile from file")
#     folded.txt     one line a stack and how often it was seen
#     flame.svg      the same as a picture, for any browser
#     load.txt       what the load's own program says
#
# Samples are taken by a timer (cpu-clock), so it works where no hardware counters are: FREQUENCY (997)
# a second. The daemon's own stacks are unwound by its DWARF tables, as libraries have no frame pointers.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lab.sh
. scripts/lab.sh

LOAD=${1-} SECONDS_RUN=${2:-5}
NAMES=${NAMES:-10000}
FREQUENCY=${FREQUENCY:-997}
OUT=${OUT:-$LAB_BUILD/profile}
KERNEL_SETTINGS=(kernel/kptr_restrict=0 net/core/bpf_jit_kallsyms=1)
saved=()

die() {
    echo "profile: $*" >&2
    exit 1
}

# The kernel's and the programs' symbols are to be seen while we look, and as before afterwards.
kernel_settings() {
    local setting file
    for setting in "${KERNEL_SETTINGS[@]}"; do
        file=/proc/sys/${setting%%=*}
        [ -w "$file" ] || continue
        saved+=("$file=$(cat "$file")")
        echo "${setting#*=}" >"$file" 2>/dev/null || echo "profile: cannot set $file: symbols may be missing" >&2
    done
}

# shellcheck disable=SC2317 # called by trap
end() {
    local setting
    for setting in "${saved[@]}"; do
        echo "${setting#*=}" >"${setting%%=*}" 2>/dev/null || true
    done
    lab_down
}

lab_begin() {
    lab_init "fqprof-$$"
    trap end EXIT
    kernel_settings
    lab_up
    echo 'limits: {dns_per_client: 0, new_names_per_client: 0}' >>"$LAB_CONFIG"
    lab_daemon_start
}

# Samples of SECONDS_RUN while the load runs: record OPTIONS...
record() {
    perf record -q -e cpu-clock -F "$FREQUENCY" -o "$OUT/perf.data" "$@" -- sleep "$SECONDS_RUN"
}

confirmed() {
    [ "$(lab_fqdnat -j gateway show | jq '[.[].confirmed // 0] | add')" -ge "$NAMES" ]
}

dns() {
    local load
    lab_begin
    seq -f 'n%.0f.open.example A' 0 $((NAMES - 1)) | shuf --random-source=/dev/zero >"$LAB_RUN/names"
    # One after the other until all are known, then as fast as it can.
    lab_client dnsperf -s 192.0.2.1 -d "$LAB_RUN/names" -q 32 -n 1 >/dev/null
    lab_until 60 confirmed || echo "profile: not all names are confirmed" >&2
    lab_client dnsperf -s 192.0.2.1 -d "$LAB_RUN/names" -q 100 -l $((SECONDS_RUN + 1)) >"$OUT/load.txt" 2>&1 &
    load=$!
    sleep 0.5
    record --call-graph dwarf,16384 -p "$(lab_pid fqdnatd)"
    wait "$load"
    grep -E 'Queries (per second|lost)' "$OUT/load.txt"
}

packets() {
    local load proxy
    lab_begin
    proxy=$(lab_client dig +short files.corp.example A | head -n 1)
    lab_client ping -qc 3 "$proxy" >/dev/null || die "the lab does not forward"
    lab_client iperf3 -c "$proxy" -u -b 0 -l 64 -t $((SECONDS_RUN + 2)) --connect-timeout 5000 \
        >"$OUT/load.txt" 2>&1 &
    load=$!
    sleep 1
    record --call-graph fp -a
    wait "$load"
    grep -E 'sender|receiver' "$OUT/load.txt"
}

# Of everything that was running, what the load was and what the kernel did for it.
comms() {
    perf script -i "$OUT/perf.data" -F comm 2>/dev/null | awk '{ print $1 }' | sort -u |
        grep -E '^(fqdnatd|iperf3|ksoftirqd|napi|swapper)' | paste -sd,
}

reports() {
    local of=(-i "$OUT/perf.data" --no-inline --comms "$(comms)")
    perf report "${of[@]}" --stdio --no-children -g none --percentage relative --percent-limit 0.3 \
        >"$OUT/report.txt" 2>"$OUT/perf.log"
    perf script "${of[@]}" -F +pid >"$OUT/firefox.txt" 2>>"$OUT/perf.log"
    python3 scripts/flame.py fold <"$OUT/firefox.txt" >"$OUT/folded.txt"
    python3 scripts/flame.py svg "fqdnat: $LOAD" <"$OUT/folded.txt" >"$OUT/flame.svg"
    awk '!/^#/ && NF && ++n <= 25' "$OUT/report.txt"
    echo "profile: see $OUT"
}

case $LOAD in
dns) need=dnsperf ;;
packets) need=iperf3 ;;
*) sed -n '3,20s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
for tool in perf python3 "$need"; do
    command -v "$tool" >/dev/null || die "$tool is not installed"
done
mkdir -p "$OUT"
"$LOAD"
reports
