/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps as text: "NAME ARGUMENTS" on a line, frames in hexadecimal; see rig.h.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static const char *const REASONS[FQ_REASON_MAX] = {"ok",
#define X(id, name, class, text) name,
						   FQ_REASONS(X)
#undef X
};

/* clang-format off: a table */
static const struct {
	const char *name;
	int args;
} OPS[STEP_OPS] = {
	[STEP_FRAME] = {"frame", 1},   /* side, frame; "expect REASON" may follow on its own line */
	[STEP_CLIENT] = {"client", 2}, /* prefix, client (0: nobody) */
	[STEP_GRANT] = {"grant", 3},   /* client, resource, 0 none 1 for ever 2 expired 3 an hour */
	[STEP_FILTER] = {"filter", 2}, /* resource, number of rig_world.c's filters */
	[STEP_XLAT] = {"xlat",
		       5}, /* scope, v6, proxy, real + 2 (0 none, 1 no address), resources */
	[STEP_EDGE] = {"edge", 5},           /* v6, proxy, verdict (3: none), gateway, touch */
	[STEP_GATEWAY] = {"gateway", 3},     /* id, address (0: none), up */
	[STEP_QUOTA] = {"quota", 2},         /* client, sessions */
	[STEP_SCOPE] = {"scope", 2},         /* scope, sessions */
	[STEP_LIMIT] = {"limit", 1},         /* sessions */
	[STEP_MAC] = {"mac", 2},             /* side, known */
	[STEP_DEV] = {"dev", 2},             /* side, has addresses */
	[STEP_TX] = {"tx", 2},               /* side, takes redirected frames */
	[STEP_POLICY] = {"policy", 0},       /* has changed */
	[STEP_MONITOR] = {"monitor", 1},     /* somebody is there */
	[STEP_AGE] = {"age", 1},             /* seconds, of all sessions */
	[STEP_EXPIRE] = {"expire", 1},       /* the n-th session, as user space does */
	[STEP_TOMBSTONE] = {"tombstone", 1}, /* where the n-th local socket waits for the server */
	[STEP_FORWARDING] = {"forwarding", 2}, /* side, on; IPv4 */
	[STEP_HOOK] = {"hook", 2},             /* side, enum orc_hook */
};
/* clang-format on */

const char *step_reason_name(int reason)
{
	return reason >= 0 && reason < FQ_REASON_MAX ? REASONS[reason] : "?";
}

void step_print(FILE *to, const struct step *s)
{
	fprintf(to, "%s", OPS[s->op].name);
	for (int i = 0; i < OPS[s->op].args; i++)
		fprintf(to, " %d", s->arg[i]);
	if (s->op == STEP_FRAME) {
		fputc(' ', to);
		for (size_t i = 0; i < s->frame.len; i++)
			fprintf(to, "%02x", pkt_data(&s->frame)[i]);
	}
	fputc('\n', to);
	if (s->expected)
		fprintf(to, "expect %s\n", step_reason_name(s->expected));
}

static bool read_hex(const char *text, struct pkt *ret)
{
	size_t len = 0;
	unsigned int byte;

	memset(ret, 0, sizeof(*ret));
	while (isspace((unsigned char)*text))
		text++;
	for (; isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]); text += 2) {
		if (len == PKT_CAP || sscanf(text, "%2x", &byte) != 1)
			return false;
		pkt_data(ret)[len++] = byte;
	}
	ret->len = len;
	return len > ETH_HLEN && *text == '\0';
}

static bool read_line(char *line, struct step *s)
{
	char *word = strtok(line, " \t\n"), *rest;

	*s = (struct step){.op = STEP_OPS};
	for (int op = 0; op < STEP_OPS; op++)
		if (strcmp(OPS[op].name, word) == 0)
			s->op = op;
	if (s->op == STEP_OPS)
		return false;
	for (int i = 0; i < OPS[s->op].args; i++) {
		word = strtok(NULL, " \t\n");
		if (!word)
			return false;
		s->arg[i] = strtol(word, NULL, 10);
	}
	if (s->op != STEP_FRAME)
		return true;
	rest = strtok(NULL, " \t\n");
	return rest && read_hex(rest, &s->frame);
}

static bool read_expected(const char *line, struct step *s)
{
	char name[64];

	if (sscanf(line, "expect %63s", name) != 1)
		return false;
	for (int r = 1; r < FQ_REASON_MAX; r++)
		if (strcmp(REASONS[r], name) == 0)
			s->expected = r;
	return s->expected != 0;
}

/* Blank lines and those that begin with # say nothing. */
int step_read(FILE *from, struct step *ret, unsigned int *line)
{
	static char text[2 * PKT_CAP + 64];
	long next;

	do {
		if (!fgets(text, sizeof(text), from))
			return 0;
		++*line;
	} while (text[0] == '#' || text[0] == '\n');
	if (!read_line(text, ret))
		return -1;
	next = ftell(from);
	if (fgets(text, sizeof(text), from) && strncmp(text, "expect ", 7) == 0) {
		++*line;
		return read_expected(text, ret) ? 1 : -1;
	}
	fseek(from, next, SEEK_SET);
	return 1;
}
