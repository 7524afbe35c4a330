#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Install the Debian packages that are missing: for building fqdnat, and with --demo, --test or
# --bench for the lab, the tests and the benchmark, too. Does nothing, quickly, where all of them are there.
# It never removes or upgrades a package, and never leaves a service running that it installed.
set -euo pipefail

build_packages=(
    gcc make pkg-config libc6-dev linux-libc-dev clang-16 bpftool
    libbpf-dev libxdp-dev libelf-dev zlib1g-dev
    libsystemd-dev libc-ares-dev libldns-dev libjansson-dev libyaml-dev
    libsqlite3-dev libsodium-dev uthash-dev systemtap-sdt-dev
)
demo_packages=(
    iproute2 util-linux mount ethtool nftables procps iputils-ping
    knot bind9-dnsutils curl socat iperf3 jq python3
)
test_packages=(
    llvm-16 clang-format-16 libclang-rt-16-dev libcmocka-dev
    shellcheck mandoc spin
    traceroute iputils-tracepath mtr-tiny nmap hping3 coturn
    wireguard-go wireguard-tools
    linux-perf dnsperf
)
# What the benchmark compares with; one that is missing is a line in the report.
bench_packages=(dnsmasq-base unbound tayga)

usage() {
    cat <<'USAGE'
usage: scripts/bootstrap.sh [--demo | --test | --bench | --list | --help]

  (nothing)  what a build needs
  --demo     and what scripts/demo.sh needs
  --test     and what scripts/test.sh needs
  --bench    and what the benchmark compares with
  --list     print the packages of a build, the demo, the tests and the benchmark; install nothing
USAGE
}

die() {
    echo "bootstrap.sh: $*" >&2
    exit 1
}

# The packages of "$@" that are not installed, one a line.
missing() {
    local installed
    installed=$(dpkg-query -W -f='${db:Status-Abbrev}\t${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^ii \t//p' || true)
    comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

# Packages with a service start it when they are installed, unless policy-rc.d says no: a
# name server for the lab has no business on the host's port 53, nor a STUN server on 3478.
services_off() {
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

# Not at the next boot either. Only for what was installed just now: one that was there before is
# somebody's.
disable_new_service() {
    local name=$1
    shift
    [[ " $* " == *" $name "* ]] || return 0
    command -v systemctl >/dev/null || return 0
    systemctl --quiet disable "$name.service" >/dev/null 2>&1 ||
        echo "bootstrap.sh: could not disable $name.service, ignoring" >&2
}

main() {
    local packages=("${build_packages[@]}")
    case ${1-} in
    '') ;;
    --demo) packages+=("${demo_packages[@]}") ;;
    --test) packages+=("${demo_packages[@]}" "${test_packages[@]}") ;;
    --bench) packages+=("${demo_packages[@]}" "${bench_packages[@]}") ;;
    --list)
        printf '%s\n' "${packages[@]}" "${demo_packages[@]}" "${test_packages[@]}" "${bench_packages[@]}"
        return
        ;;
    -h | --help)
        usage
        return
        ;;
    *)
        echo "bootstrap.sh: \"$1\" is unknown; expected --demo, --test, --bench, --list or --help" >&2
        exit 2
        ;;
    esac
    [ $# -le 1 ] || die "expected one argument at most"

    command -v dpkg-query >/dev/null ||
        die "this is not Debian (no dpkg-query); needed are: ${packages[*]}"

    local need
    mapfile -t need < <(missing "${packages[@]}")
    [ ${#need[@]} -gt 0 ] || return 0

    [ "$(id -u)" = 0 ] || die "must be root to install: ${need[*]}"
    command -v apt-get >/dev/null || die "no apt-get to install: ${need[*]}"

    echo "bootstrap.sh: installing ${need[*]}"
    services_off
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update || die "apt-get update failed; see above"
    apt-get -qq install -y --no-install-recommends "${need[@]}" >/dev/null ||
        die "apt-get install failed for: ${need[*]}"
    disable_new_service knot "${need[@]}"
    disable_new_service coturn "${need[@]}"
    disable_new_service unbound "${need[@]}"
    disable_new_service tayga "${need[@]}"

    mapfile -t need < <(missing "${packages[@]}")
    [ ${#need[@]} -eq 0 ] || die "still missing after installation: ${need[*]}"
}

main "$@"
