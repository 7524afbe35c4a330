#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Checks docs/behaviours.md against the tests: every statement has a test that claims it (a
# comment with its number and a colon, "C-07: ..." or "C-07, C-08: ..."), every number that
# a test mentions is a statement, and every test listed in the third column is in the tree
# and claims that statement. Statements marked "later:" or "n/a:" need no test.
#
# usage: scripts/check-behaviours.sh [--update]
#   --update  rewrite the third column from the tests first
set -euo pipefail
cd "$(dirname "$0")/.."

doc=docs/behaviours.md
number='[CPDMWGFANIT]-[0-9][0-9]'

test_files() {
	find tests -type f \( -name '*.c' -o -name '*.h' -o -name '*.sh' -o -name '*.py' \) | LC_ALL=C sort
}

# Prints "NUMBER FILE FUNCTION" for every claim. The function is the one around the comment,
# else the next one in the file (of a script: the very next line), else "-".
claims() {
	# shellcheck disable=SC2016 # awk's $ are not the shell's
	test_files | xargs -r awk -v number="$number" '
		function flush_pending(name,   i) {
			for (i = 0; i < pending; i++)
				print waiting[i], file, name
			pending = 0
		}
		function claim(n) {
			if (inside != "")
				print n, file, inside
			else
				waiting[pending++] = n
		}
		FNR == 1 {
			flush_pending("-")
			file = FILENAME
			inside = ""
		}
		# A function: of C, at the left margin, its brace on the next line or at the end; of the shell.
		/^[a-z][A-Za-z0-9_ *]*[ *][A-Za-z0-9_]+\(/ && !/;[ \t]*$/ && /^(static|int|void|bool)/ {
			name = $0
			sub(/\(.*/, "", name)
			sub(/.*[ *]/, "", name)
			opened = name
			if ($0 ~ /\{[ \t]*$/) {
				inside = opened
				opened = ""
				flush_pending(inside)
			}
		}
		/^[A-Za-z0-9_]+ *\(\) *[{(]/ || /^def [a-z0-9_]+\(/ {
			name = $0
			sub(/^def /, "", name)
			sub(/ *\(.*/, "", name)
			flush_pending(name)
			inside = /[})]$/ ? "" : name
		}
		# Scripts are mostly no functions: a comment there belongs to the file.
		file !~ /\.[ch]$/ && inside == "" && !/^#/ { flush_pending("-") }
		/^\{/ && opened != "" {
			inside = opened
			opened = ""
			flush_pending(inside)
		}
		/(\/\*|^[ \t]*\*|\/\/|#)/ {
			rest = $0
			sub(/^[^#]*(\/\*|\/\/)|^[ \t]*\*|^[^#\/*]*#/, "", rest)
			while (match(rest, number "([ ,/]+(and +)?" number ")*:")) {
				group = substr(rest, RSTART, RLENGTH)
				rest = substr(rest, RSTART + RLENGTH)
				while (match(group, number)) {
					claim(substr(group, RSTART, RLENGTH))
					group = substr(group, RSTART + RLENGTH)
				}
			}
		}
		/^[})]/ { inside = "" }
		END { flush_pending("-") }' | LC_ALL=C sort -u
}

# Prints "NUMBER FILE:LINE" for every mention.
mentions() {
	test_files | xargs -r grep -noP "(?<![A-Za-z0-9-])$number(?![0-9A-Za-z-])" /dev/null |
		awk -F: '{ print $3, $1 ":" $2 }'
}

# The rows of the document: NUMBER|WHAT|TEST, with blanks trimmed.
rows() {
	awk -F'|' -v number="^ *$number *\$" '$2 ~ number {
		for (i = 2; i <= 4; i++)
			gsub(/^ +| +$/, "", $i)
		print $2 "|" $3 "|" $4
	}' "$doc"
}

update() {
	local tmp

	tmp=$(mktemp)
	claims | awk -v doc="$doc" -v number="^ *$number *\$" '
		{
			file = $2
			sub(/^tests\//, "", file)
			text = $3 == "-" ? "`" file "`" : "`" file "`: `" $3 "`"
			if (!(($1, file) in seen))
				first[$1] = first[$1] text "; "
			else
				further[$1] = further[$1] text "; "
			seen[$1, file] = 1
		}
		# Up to three tests a row, of different files if possible; the others are a grep away.
		function cell_of(id,   tests, n, i, cell) {
			n = split(first[id] further[id], tests, "; ") - 1
			for (i = 1; i <= n && i <= 3; i++)
				cell = cell (i > 1 ? "; " : "") tests[i]
			return cell (n > 3 ? " +" (n - 3) : "")
		}
		END {
			while ((getline line < doc) > 0) {
				n = split(line, col, "|")
				id = n == 5 ? col[2] : ""
				if (id ~ number && col[4] !~ /^ *(later|n\/a):/) {
					gsub(/ /, "", id)
					cell = cell_of(id)
					print "|" col[2] "|" col[3] "|" (cell == "" ? " " : " " cell " ") "|"
				} else {
					print line
				}
			}
		}' >"$tmp"
	cat "$tmp" >"$doc"
	rm -f "$tmp"
}

check() {
	awk -F'|' '
		FILENAME == ARGV[1] {
			split($0, c, " ")
			file = c[2]
			sub(/^tests\//, "", file)
			claimed[c[1]]++
			is_claim[c[1], "`" file "`" (c[3] == "-" ? "" : ": `" c[3] "`")] = 1
			next
		}
		FILENAME == ARGV[2] {
			split($0, c, " ")
			if (!(c[1] in where))
				where[c[1]] = c[2]
			next
		}
		{
			if ($1 in known)
				fail($1 ": listed twice")
			known[$1] = 1
			total++
			if ($3 ~ /^(later|n\/a): ./) {
				waived++
				next
			}
			if (!claimed[$1]) {
				fail($1 ": no test claims it (" $2 ")")
				next
			}
			sub(/ \+[0-9]+$/, "", $3)
			n = split($3, named, /; */)
			if (n == 0)
				fail($1 ": no test listed: run scripts/check-behaviours.sh --update")
			tested++
			for (i = 1; i <= n; i++)
				if (!is_claim[$1, named[i]])
					fail($1 ": " named[i] " does not claim it (any more): run scripts/check-behaviours.sh --update")
		}
		function fail(text) {
			print "behaviours: " text
			failed++
		}
		END {
			for (id in where)
				if (!(id in known))
					fail(id ": named in " where[id] ", but not in docs/behaviours.md")
			printf "behaviours: %d statements, %d tested, %d later or not applicable, %d errors\n",
				total, tested, waived, failed
			exit failed > 0
		}' <(claims) <(mentions) <(rows)
}

case "${1-}" in
--update)
	update
	check
	;;
"")
	check
	;;
*)
	echo "usage: $0 [--update]" >&2
	exit 2
	;;
esac
