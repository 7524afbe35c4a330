# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the benchmarks of a running daemon begin with: the lab of scripts/lab.sh, CPUs, and the first
# lines of a configuration. Sourced; afterwards the directory is that of the sources.
# shellcheck disable=SC2034 # what is set here is used there
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
LAB_BUILD=${LAB_BUILD:-$PWD/build}
# shellcheck source=scripts/lab.sh
. scripts/lab.sh

# Where who asks or sends runs, and where who answers or receives.
CLIENT_CPU=0
SERVER_CPU=$(($(nproc) > 1 ? 1 : 0))

# Pools for a million domains.
large_pools() {
    LAB_POOL4=100.64.0.0/10
    LAB_POOL6=fd00:2021:1111:8000::/106
}

# Begin the daemon's configuration: config_begin INTERFACES, as YAML's list has them
config_begin() {
    cat >"$LAB_CONFIG" <<YAML
bpffs: $LAB_BPFFS
state: $LAB_STATE
control_socket: $LAB_SOCKET
interfaces: [$1]
YAML
}

# CPU time of a process so far, user and kernel: cpu_ns PID
cpu_ns() { awk '{ ns += $1 } END { printf "%.0f\n", ns }' /proc/"$1"/task/*/schedstat; }
