#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Run a command on Debian's stock kernel, in a virtual machine that borrows this machine's files.
#
# The kernel is unpacked in build/vm, never installed. The guest sees this machine's root file
# system read-only (9p) with a layer in memory above it: what is built here runs there, what it writes
# is gone afterwards. It has no network but what the command makes, and a /run and /sys/fs/bpf of its
# own.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=${here%/*}
base=$root/build/vm
package=${VM_KERNEL:-}
memory=${VM_MEMORY:-2G}
cpus=${VM_CPUS:-2}
limit_s=${VM_TIMEOUT_S:-600}
accel=${VM_ACCEL:-tcg}
console=${VM_CONSOLE:-$base/console.log}
pass='^(FQDNAT|LAB|CMOCKA|TIMEOUT_S|JOBS|BUILD)'

usage() {
    cat <<'USAGE'
usage: scripts/vm.sh COMMAND [ARGUMENT...]      (as root)

Run a command in a virtual machine with Debian's stock kernel; its output and exit status are
passed on, the kernel's messages go to build/vm/console.log. The working directory and variables
FQDNAT*, LAB*, CMOCKA*, TIMEOUT_S, JOBS, BUILD are those of the caller.

  scripts/vm.sh uname -r
  scripts/vm.sh build/tests/prog/test_dispatcher
  scripts/vm.sh scripts/test.sh -n prog
  scripts/vm.sh bash -c 'scripts/demo.sh; dmesg | tail'

Environment:
  VM_KERNEL     package of the kernel (what linux-image-amd64 depends on)
  VM_MEMORY     2G
  VM_CPUS       2
  VM_TIMEOUT_S  600: after that the machine is switched off, exit status 124
  VM_ACCEL      tcg (works everywhere), or kvm
  VM_CONSOLE    build/vm/console.log

Exit status: that of the command; 124 timeout; 125 the machine did not get that far.
USAGE
}

die() {
    echo "vm.sh: $*" >&2
    exit 125
}

install_tools() {
    local -a need=()
    command -v qemu-system-x86_64 >/dev/null || need+=(qemu-system-x86)
    command -v cpio >/dev/null || need+=(cpio)
    [ ${#need[@]} -gt 0 ] || return 0
    echo "vm.sh: installing ${need[*]}" >&2
    apt-get -qq update || die "apt-get update failed; see above"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        "${need[@]}" >/dev/null || die "apt-get install failed for: ${need[*]}"
}

# The newest stock kernel: the one the meta package stands for.
kernel_package() {
    apt-cache depends --important linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# The kernel, its modules and a busybox, in build/vm/PACKAGE. Complete, or not there.
unpack() {
    local new=$base/new.$$ deb
    local -a have=("$base"/linux-image-*)
    if [ -z "$package" ] && [ -d "${have[0]}" ]; then
        package=${have[0]##*/}
    fi
    [ -n "$package" ] || package=$(kernel_package)
    if [ -z "$package" ]; then
        apt-get -qq update || die "apt-get update failed; see above"
        package=$(kernel_package)
    fi
    [ -n "$package" ] || die "no package linux-image-amd64 here"
    [ ! -d "$base/$package" ] || return 0

    echo "vm.sh: fetching $package" >&2
    mkdir -p "$new/deb"
    (cd "$new/deb" && apt-get -qq -o APT::Sandbox::User=root download "$package" busybox-static) ||
        { rm -rf "$new"; die "cannot fetch $package (apt-get update?)"; }
    for deb in "$new"/deb/*.deb; do
        dpkg -x "$deb" "$new"
    done
    rm -rf "${new:?}/deb" "${new:?}/usr"
    "$new/bin/busybox" depmod -b "$new" "$(release "$new")"
    mv "$new" "$base/$package"
}

# The kernel's release, as its modules' directory is called.
release() { basename "$1"/lib/modules/*; }

# Files of modules in the order they have to be loaded: modules_of DIR NAME... In modules.dep
# the dependencies stand behind a module from the nearest to the farthest.
modules_of() {
    local dir name
    dir=$1/lib/modules/$(release "$1")
    shift
    for name in "$@"; do
        sed -n "s#^\(kernel/.*/${name//_/[-_]}\.ko\): *\(.*\)#\2 \1#p" "$dir/modules.dep" |
            awk '{ for (i = NF - 1; i > 0; i--) print $i; print $NF }'
    done | awk '!seen[$0]++'
}

# The first file system: finds the host's files and steps over to them.
make_initrd() {
    local dir=$1 ret=$2 vm=$3 file
    mkdir -p "$ret"/{bin,proc,sys,dev,lower,layer,new,modules,vm}
    cp "$dir/bin/busybox" "$ret/bin/"
    modules_of "$dir" virtio_pci 9p 9pnet_virtio overlay >"$ret/modules/order"
    while read -r file; do
        cp "$dir/lib/modules/$(release "$dir")/$file" "$ret/modules/"
    done <"$ret/modules/order"
    cp "$vm/start" "$vm/command" "$ret/vm/"
    cat >"$ret/init" <<INIT
#!/bin/busybox sh
set -e
export PATH=/bin
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
while read -r file; do
    busybox insmod /modules/\${file##*/}
done </modules/order
busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=262144 host /lower
busybox mount -t tmpfs layer /layer
busybox mkdir /layer/upper /layer/work
busybox mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work host /new
busybox mkdir -p /new/lib/modules /new/proc /new/sys /new/dev /new/run
busybox mount --bind /lower$dir/lib/modules /new/lib/modules
busybox mount -t tmpfs run /new/run
busybox mkdir /new/run/vm
busybox cp /bin/busybox /vm/start /vm/command /new/run/vm/
for file in proc sys dev; do
    busybox mount --move /\$file /new/\$file
done
exec busybox switch_root /new /bin/bash /run/vm/start
INIT
    chmod 755 "$ret/init"
}

# The guest's first process, with the host's files around it. Modules load when something asks.
write_start() {
    cat <<'START'
printf '#!/run/vm/busybox sh\nexec /run/vm/busybox modprobe "$@"\n' >/run/vm/modprobe
chmod 755 /run/vm/modprobe
echo /run/vm/modprobe >/proc/sys/kernel/modprobe
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm /run/lock
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
ln -sf /proc/self/fd /dev/fd
/run/vm/busybox modprobe tun
ip link set lo up
hostname vm
stty -F /dev/ttyS1 raw -echo
stty -F /dev/ttyS2 raw -echo
{
    setsid bash /run/vm/command </dev/null
    echo $? >/dev/ttyS2
} 2>&1 | cat >/dev/ttyS1
sync
/run/vm/busybox poweroff -f
START
}

# What to run, and where.
write_command() {
    local name
    while read -r name; do
        printf 'export %s=%q\n' "$name" "${!name}"
    done < <(compgen -e | grep -E "$pass" || true)
    printf 'export PATH=%q HOME=/root LC_ALL=C\n' "$PATH"
    printf 'cd %q || exit 125\n' "$PWD"
    printf 'exec'
    printf ' %q' "$@"
    echo
}

boot() {
    local dir=$1 vm=$2 status=0
    timeout -k 5 "$limit_s" qemu-system-x86_64 \
        -accel "$accel" -cpu max -smp "$cpus" -m "$memory" \
        -nodefaults -no-user-config -no-reboot -display none -monitor none \
        -kernel "$dir"/boot/vmlinuz-* -initrd "$vm/initrd" \
        -append 'console=ttyS0 panic=-1 quiet loglevel=5 mitigations=off' \
        -serial "file:$console" \
        -chardev stdio,id=out,signal=off -serial chardev:out \
        -serial "file:$vm/status" \
        -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
        -device virtio-9p-pci,fsdev=host,mount_tag=host </dev/null || status=$?
    [ "$status" -ne 124 ] || { echo "vm.sh: not done after $limit_s s: switched off" >&2; exit 124; }
    [ -s "$vm/status" ] || {
        tail -n 20 "$console" >&2
        die "the machine ended without the command's exit status; see $console"
    }
}

main() {
    local vm status
    case ${1-} in
    '' | -h | --help)
        usage
        [ -n "${1-}" ] && exit 0 || exit 2
        ;;
    -*)
        echo "vm.sh: \"$1\" is unknown; expected a command or --help" >&2
        exit 2
        ;;
    esac
    [ "$(uname -m)" = x86_64 ] || die "x86-64 only: that is the kernel it fetches"
    [ "$(id -u)" = 0 ] || die "must be root: the guest is to read all files"
    install_tools
    unpack
    vm=$(mktemp -d /tmp/fqdnat-vm.XXXXXX)
    # shellcheck disable=SC2064 # now, not then
    trap "rm -rf '$vm'" EXIT
    write_start >"$vm/start"
    write_command "$@" >"$vm/command"
    make_initrd "$base/$package" "$vm/files" "$vm"
    (cd "$vm/files" && find . | cpio -o -H newc --quiet) >"$vm/initrd"
    rm -rf "$vm/files"
    boot "$base/$package" "$vm"
    read -r status <"$vm/status"
    exit "$status"
}

main "$@"
