#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The words of fqdnat, without a daemon and without maps: help everywhere, wrong words named
# together with what was expected, exit codes, and which output goes where.
#
# tests/cli/test_words.sh [PATH-OF-FQDNAT]    prints "ok"/"not ok" lines, exits 1 on failure

# shellcheck source=tests/cli/claims.sh
. "$(dirname "$0")/claims.sh"

objects="domain resource client grant proxy session gateway prog stats monitor config version help"
expected="domain, resource, client, grant, proxy, session, gateway, prog, stats, monitor, config, version or help"
options="-j, -p, -s PATH, -b DIR, -V or -h"

# Help is a result: standard output, exit 0.
run help
claim "fqdnat help lists options" shows "-s, --socket PATH"
for object in $objects; do
    claim "fqdnat help lists $object" out_has "$object "
done
for words in -h --help "help help" "-h domain" "domain -h" "help domain" "domain help"; do
    # shellcheck disable=SC2086
    run $words
    claim "fqdnat $words" shows "fqdnat"
done
for object in $objects; do
    run "$object" help
    claim "fqdnat $object help" shows "fqdnat $object"
    run -j "$object" help
    claim "fqdnat -j $object help is one JSON value" one_json out
done
for words in "domain show" "session show" "grant add" "prog attach" "config check" "stats show"; do
    # shellcheck disable=SC2086
    run $words help
    claim "fqdnat $words help" shows "fqdnat ${words%% *} show"
done
run -V
claim "fqdnat -V" shows "fqdnat "
run -j version
claim "fqdnat -j version is one JSON value" one_json out
claim "version says that no daemon runs" test "$(jq .daemon "$dir/out")" = null

# A result that cannot be written is a failure.
"$fqdnat" -s "$socket" help >/dev/full 2>"$dir/err"
status=$?
: >"$dir/out"
claim "a full disk is an error" says 1 "fqdnat: cannot write the result: No space left on device"

# Wrong words.
fails 2 "no object is given, expected $expected"
fails 2 "object 'sesion' is unknown, did you mean 'session'? expected $expected" sesion
fails 2 "object 'sess' is unknown, did you mean 'session'? expected $expected" sess
fails 2 "object 'Domain' is unknown, did you mean 'domain'? expected $expected" Domain
fails 2 "object '' is unknown, expected $expected" ""
fails 2 "object 'frobnicate' is unknown, expected $expected" help frobnicate
fails 2 "domain command 'shwo' is unknown, did you mean 'show'? expected show, refresh, forget or help" domain shwo
fails 2 "resource command 'list' is unknown, expected show or help" resource list
fails 2 "client command 'list' is unknown, expected show or help" client list
fails 2 "grant command 'delete' is unknown, did you mean 'del'? expected show, add, del or help" grant delete
fails 2 "proxy command 'list' is unknown, expected show or help" proxy list
fails 2 "session command 'fush' is unknown, did you mean 'flush'? expected show, flush or help" session fush
fails 2 "gateway command 'list' is unknown, expected show or help" gateway list
fails 2 "prog command 'atach' is unknown, did you mean 'attach'? expected show, attach, detach, profile or help" prog atach
fails 2 "stats command 'limit' is unknown, did you mean 'limits'? expected show, limits or help" stats limit
fails 2 "config command 'chck' is unknown, did you mean 'check'? expected show, check or help" config chck

# Too few, too many, wrong values.
fails 2 "'refresh' needs more words, expected: fqdnat domain refresh NAME" domain refresh
fails 2 "'forget' needs more words, expected: fqdnat domain forget NAME" domain forget
fails 2 "word 'b' is too many, expected: fqdnat domain show [NAME]" domain show a b
fails 2 "word 'now' is too many, expected: fqdnat monitor" monitor now
fails 2 "word 'show' is too many, expected: fqdnat version" version show
fails 2 "'check' needs more words, expected: fqdnat config check FILE" config check
fails 2 "'add' needs more words, expected: fqdnat grant add client NAME resource NAME [expires TIME]" grant add
fails 2 "word 'clint' is unknown, did you mean 'client'? expected client, resource or expires" grant add clint lan
fails 2 "'resource' is missing, expected: resource NAME" grant add client lan
fails 2 "'client' needs a value, expected: client NAME" grant del client
fails 2 "'client' is given twice" grant del client a client b
fails 2 "'expires' cannot be 'soon', expected a time like 2027-01-01T00:00:00Z or from now on like 30m, 8h or 7d" \
    grant add client lan resource intranet expires soon
fails 2 "word 'clent' is unknown, did you mean 'client'? expected client, domain, proxy or real" session show clent A
fails 2 "'proxy' cannot be '100.96.0', expected an address" session show proxy 100.96.0
fails 2 "'real' cannot be '2001:db8::/64', expected an address" session flush real 2001:db8::/64
fails 2 "'a..b' is not a domain name" session show domain a..b
fails 2 "'address' cannot be 'x', expected an address" proxy show address x
fails 2 "'dev' is missing, expected: dev INTERFACE" prog attach mode native
fails 2 "mode 'nativ' is unknown, did you mean 'native'? expected auto, native, generic or tc" \
    prog attach dev lo mode nativ
fails 2 "'dev' needs a value, expected: dev INTERFACE" prog detach dev
fails 2 "SECONDS cannot be 'x', expected a number from 1 to 3600" prog profile x
fails 2 "SECONDS cannot be '0', expected a number from 1 to 3600" prog profile 0
fails 2 "option '-x' is unknown, expected $options" -x domain
fails 2 "option '--jsn' is unknown, expected $options" --jsn domain
fails 2 "option '-b' needs a value, expected $options" domain -b

# Errors are JSON with -j, wherever -j stands.
for words in "-j sesion" "sesion -j" "-p sesion" "-j -x domain" "-x domain -j"; do
    # shellcheck disable=SC2086
    run $words
    claim "fqdnat $words: the error is one JSON value" one_json err
    claim "fqdnat $words: exit 2, nothing on standard output" begins 2 "{\"error\":\""
done

# No daemon: what needs it fails and says where it was looked for.
for words in resource client grant gateway config "config show" "domain refresh a.example" \
    "domain forget a.example" "session flush" monitor \
    "grant add client a resource b" "grant del client a resource b"; do
    # shellcheck disable=SC2086
    fails_with 1 "no daemon answers at $dir/no.sock (No such file or directory): " $words
done

# Without a daemon, what it left is shown; here it left nothing.
run domain show
claim "fqdnat domain show without daemon and store: exit 1" exits 1
claim "fqdnat domain show names the socket" grep -qF "$dir/no.sock" "$dir/err"
claim "fqdnat domain show names the store" grep -qF "$dir/no-state" "$dir/err"

# Nothing pinned: no program runs, which is an answer.
run prog show
claim "fqdnat prog show without maps: an empty table" out_has DEV
claim "fqdnat prog show without maps: exit 0" exits 0
run -j prog
claim "fqdnat -j prog without maps: an empty list" test "$(cat "$dir/out")" = "[]"
run prog detach dev lo
claim "fqdnat prog detach without maps: exit 1" exits 1

# No maps: what reads them fails and says where they were looked for.
for words in session proxy stats "stats limits" "prog profile 1"; do
    # shellcheck disable=SC2086
    run $words
    claim "fqdnat $words without maps: exit 1" exits 1
    claim "fqdnat $words without maps names the place" grep -qF "$dir/no-bpffs" "$dir/err"
done

# Configuration files, checked without a daemon.
run config check "$dir/absent.yaml"
claim "config check of a missing file: exit 1" exits 1
claim "config check of a missing file names it" grep -qF absent.yaml "$dir/err"
echo 'intrfaces: [lo]' >"$dir/bad.yaml"
run config check "$dir/bad.yaml"
claim "config check of a bad file: exit 1" exits 1
claim "config check of a bad file names file, line and word" \
    grep -q "bad.yaml:1:.*intrfaces.*interfaces" "$dir/err"
# The manual's examples are complete; their key has to be somewhere.
(umask 077 && head -c 32 /dev/urandom | base64 >"$dir/home-site-a.key")
awk -v dir="$dir" '
    /^\.Ed/ { file = "" }
    /^interfaces:/ { file = dir "/example-" ++n ".yaml" }
    file { gsub("/etc/fqdnat", dir); print >file }' docs/man/fqdnat.yaml.5
for example in 1 2 3; do
    run config check "$dir/example-$example.yaml"
    claim "example $example of fqdnat.yaml(5) is good" out_is "$dir/example-$example.yaml: ok"
done

claims_done
