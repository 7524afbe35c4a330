/* SPDX-License-Identifier: BSD-2-Clause */
/* Address patterns, see pattern.h. */
#include "core/pattern.h"

#include <errno.h>
#include <string.h>

/* A label of a pattern or of a name: not terminated. */
struct label {
	const char *text;
	unsigned int len;
};

static struct label pattern_label(const struct pattern *p, unsigned int i)
{
	unsigned int end = i + 1 < p->labels ? p->start[i + 1] - 1U : p->len;

	return (struct label){p->text + p->start[i], end - p->start[i]};
}

static bool is_any_labels(struct label l)
{
	return l.len == 2 && l.text[0] == '*' && l.text[1] == '*';
}

static bool has_wildcard(struct label l)
{
	return memchr(l.text, '*', l.len) || memchr(l.text, '?', l.len);
}

/* Canonical byte of a pattern; 0: not allowed. */
static char pattern_byte(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return c;
	return c && strchr("-_*?.", c) ? c : 0;
}

static bool label_is_valid(struct label l)
{
	if (l.len == 0 || l.len > DNAME_LABEL_MAX)
		return false;
	return is_any_labels(l) || !memmem(l.text, l.len, "**", 2);
}

int pattern_parse(const char *text, struct pattern *ret_pattern)
{
	struct pattern p = {0};
	size_t len = strnlen(text, DNAME_LEN_MAX + 2);

	if (len && text[len - 1] == '.')
		len--;
	if (len == 0 || len > DNAME_LEN_MAX)
		return -EINVAL;

	p.len = (uint8_t)len;
	p.labels = 1;
	for (size_t i = 0; i < len; i++) {
		p.text[i] = pattern_byte(text[i]);
		if (!p.text[i])
			return -EINVAL;
		if (p.text[i] != '.')
			continue;
		if (p.labels == PATTERN_LABELS_MAX)
			return -EINVAL;
		p.start[p.labels++] = (uint8_t)(i + 1);
	}
	for (unsigned int i = 0; i < p.labels; i++)
		if (!label_is_valid(pattern_label(&p, i)))
			return -EINVAL;
	*ret_pattern = p;
	return 0;
}

/*
 * Match one label. Greedy with one point to come back to: a later '*' can always stand for
 * what an earlier one would have to give up.
 */
static bool label_match(struct label p, struct label n)
{
	unsigned int i = 0, j = 0, star = UINT32_MAX, resume = 0;

	while (j < n.len) {
		if (i < p.len && p.text[i] == '*') {
			star = i++;
			resume = j;
		} else if (i < p.len && (p.text[i] == '?' || p.text[i] == n.text[j])) {
			i++;
			j++;
		} else if (star != UINT32_MAX) {
			i = star + 1;
			j = ++resume;
		} else {
			return false;
		}
	}
	while (i < p.len && p.text[i] == '*')
		i++;
	return i == p.len;
}

/* The same one level up: labels instead of characters, "**" instead of '*'. */
static bool labels_match(const struct pattern *p, unsigned int i, const struct label *name,
			 unsigned int count)
{
	unsigned int j = 0, star = UINT32_MAX, resume = 0;

	while (j < count) {
		struct label l = i < p->labels ? pattern_label(p, i) : (struct label){0};

		if (i < p->labels && is_any_labels(l)) {
			star = i++;
			resume = j;
		} else if (i < p->labels && label_match(l, name[j])) {
			i++;
			j++;
		} else if (star != UINT32_MAX) {
			i = star + 1;
			j = ++resume;
		} else {
			return false;
		}
	}
	while (i < p->labels && is_any_labels(pattern_label(p, i)))
		i++;
	return i == p->labels;
}

static unsigned int split(const struct dname *name, struct label labels[PATTERN_LABELS_MAX])
{
	const char *at = name->text, *end = name->text + name->len;
	unsigned int n = 0;

	while (at < end && n < PATTERN_LABELS_MAX) {
		const char *dot = memchr(at, '.', (size_t)(end - at));

		if (!dot)
			dot = end;
		labels[n++] = (struct label){at, (unsigned int)(dot - at)};
		at = dot + 1;
	}
	return n;
}

bool pattern_match(const struct pattern *p, const struct dname *name)
{
	struct label labels[PATTERN_LABELS_MAX];
	unsigned int count = split(name, labels);
	struct label first = pattern_label(p, 0);

	if (labels_match(p, 0, labels, count))
		return true;
	return p->labels > 1 && first.len == 1 && first.text[0] == '*' &&
	       labels_match(p, 1, labels, count);
}

/* How much a label with wildcards leaves open: literal characters, then '*', then '?'. */
static unsigned int label_count(struct label l, char c)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < l.len; i++)
		n += l.text[i] == c;
	return n;
}

static int label_compare_text(struct label a, struct label b)
{
	unsigned int min = a.len < b.len ? a.len : b.len;
	int r = memcmp(a.text, b.text, min);

	return r ? r : (int)a.len - (int)b.len;
}

static int label_compare(struct label a, struct label b)
{
	unsigned int stars_a = label_count(a, '*'), stars_b = label_count(b, '*');
	unsigned int any_a = label_count(a, '?'), any_b = label_count(b, '?');
	int literal_a = (int)(a.len - stars_a - any_a), literal_b = (int)(b.len - stars_b - any_b);

	if (has_wildcard(a) != has_wildcard(b))
		return has_wildcard(a) ? 1 : -1;
	if (!has_wildcard(a))
		return label_compare_text(a, b);
	if (is_any_labels(a) != is_any_labels(b))
		return is_any_labels(a) ? 1 : -1;
	if (literal_a != literal_b)
		return literal_b - literal_a;
	if (stars_a != stars_b)
		return stars_a < stars_b ? -1 : 1;
	if (any_a != any_b)
		return any_a > any_b ? -1 : 1;
	return label_compare_text(a, b);
}

int pattern_compare(const struct pattern *a, const struct pattern *b)
{
	for (unsigned int i = 1; i <= a->labels && i <= b->labels; i++) {
		int r = label_compare(pattern_label(a, a->labels - i),
				      pattern_label(b, b->labels - i));

		if (r)
			return r;
	}
	return (int)a->labels - (int)b->labels;
}

const char *pattern_format(const struct pattern *p)
{
	return p->text;
}

/* Number of labels up to the last one that has a wildcard. */
static unsigned int wild_labels(const struct pattern *p)
{
	unsigned int i = p->labels;

	while (i && !has_wildcard(pattern_label(p, i - 1)))
		i--;
	return i;
}

const char *pattern_literal_suffix(const struct pattern *p)
{
	unsigned int i = wild_labels(p);

	return i < p->labels ? p->text + p->start[i] : "";
}

static bool is_wildcard(char c)
{
	return c == '*' || c == '?';
}

/* Of one label: how it begins or how it ends. */
static struct pattern_part label_part(struct label l)
{
	unsigned int begin = 0, end = 0;

	while (begin < l.len && !is_wildcard(l.text[begin]))
		begin++;
	while (end < l.len && !is_wildcard(l.text[l.len - 1 - end]))
		end++;
	if (end > begin)
		return (struct pattern_part){l.text + l.len - end, end, true};
	return (struct pattern_part){l.text, begin, false};
}

struct pattern_part pattern_literal_part(const struct pattern *p)
{
	struct pattern_part longest = {.text = ""};

	for (unsigned int i = wild_labels(p); i-- > 0;) {
		struct pattern_part part = label_part(pattern_label(p, i));

		if (part.len > longest.len)
			longest = part;
	}
	return longest;
}
