#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The daemon's static probes are where docs/operations.md says, with as many arguments: by the notes of
# the ELF file. A build without <sys/sdt.h> has none, and builds.
#
# tests/cli/test_probes.sh [PATH-OF-FQDNAT]

# shellcheck source=tests/cli/claims.sh
. "$(dirname "$0")/claims.sh"

daemon=$(dirname "$fqdnat")/fqdnatd
readelf -n "$daemon" >"$dir/out" 2>"$dir/err"

# Each place of a probe has so many arguments: has PROBE COUNT
has()
{
    awk -v probe="$1" -v count="$2" '
        $1 == "Name:" { name = $2 }
        $1 == "Arguments:" && name == probe { places++; bad += NF - 1 != count }
        END { exit !places || bad }' "$dir/out"
}

documented() { [ "$(awk -F'|' '/^\| `(dns_query|control_message|state_change|map_update)`/' docs/operations.md | wc -l)" = 4 ]; }

builds_without()
{
    printf '%s\n' '#include "base/probe.h"' 'int main(void) {' \
        'PROBE_DNS_QUERY("", 0, 0, 0);' 'PROBE_MAP_UPDATE("", 0, 0, 0); return PROBE_IN; }' >"$dir/none.c"
    gcc -std=gnu17 -Wall -Wextra -Iuser '-D__has_include(x)=0' -o "$dir/none" "$dir/none.c" 2>"$dir/err" && "$dir/none" && ! readelf -n "$dir/none" | grep -q fqdnat
}

if [ -e /usr/include/sys/sdt.h ] || [ -e "/usr/include/$(gcc -print-multiarch)/sys/sdt.h" ]; then
    claim "dns_query has four arguments" has dns_query 4
    claim "control_message has five" has control_message 5
    claim "state_change has four" has state_change 4
    claim "map_update has four" has map_update 4
else
    echo "ok - probes # SKIP no <sys/sdt.h>"
fi
claim "the documentation has a row for each" documented
claim "without the header they are nothing" builds_without

claims_done
