# SPDX-License-Identifier: BSD-2-Clause
#
# What the TAP lines of a test program come to. The first line is "PASSED FAILED SKIPPED"; then
# each skip: "skip NAME: REASON", and each figure that the program wants to be known: "summary: TEXT".
# A skip that does not say why has failed.
#
# A skip is "ok N - NAME # SKIP REASON", or as cmocka writes it, "not ok N # SKIP NAME" after a line
# "# skip: REASON" (lib/skip.h). Figures are lines "# summary: TEXT".

function skip(name, why) {
	if (name == "" || why == "") {
		failed++
		lines = lines "no reason is given for skipping " (name == "" ? "a test" : name) "\n"
		return
	}
	skipped++
	lines = lines "skip " name ": " why "\n"
}

function trim(text) {
	gsub(/^[ \t:-]+|[ \t:-]+$/, "", text)
	return text
}

/^# skip: / {
	reason = trim(substr($0, 8))
	next
}

/^# summary: / {
	lines = lines "summary: " trim(substr($0, 11)) "\n"
	next
}

/^(not )?ok([ \t]|$)/ {
	name = before = after = $0
	if (match($0, /#[ \t]*[Ss][Kk][Ii][Pp]/)) {
		before = substr($0, 1, RSTART - 1)
		after = trim(substr($0, RSTART + RLENGTH))
		sub(/^(not )?ok[ \t]*[0-9]*/, "", before)
		before = trim(before)
		if (before == "")
			skip(after, reason)
		else
			skip(before, after)
	} else if ($1 == "ok") {
		passed++
	} else {
		failed++
	}
	reason = ""
}

END { printf "%d %d %d\n%s", passed, failed, skipped, lines }
