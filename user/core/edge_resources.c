/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resources of the edge, and which of them publish a name.
 *
 * Resources are found by the literal labels in which their pattern ends, and among those that share
 * them by the longest literal beginning or end of any label before: "web-*.corp.example" by
 * "corp.example" and "web-". A name with n labels costs n + 1 look-ups, for each suffix that is
 * there and each label before it one for each length of parts that is there, and then only the
 * patterns that share suffix and part, however many resources there are.
 */
#include "core/edge_internal.h"

#include <errno.h>
#include <string.h>

unsigned int edge_stack_families(enum ip_stack stack)
{
	switch (stack) {
	case IP_STACK_IPV4:
		return IP_FAMILY_V4;
	case IP_STACK_IPV6:
		return IP_FAMILY_V6;
	case IP_STACK_DUAL:
		break;
	}
	return IP_FAMILY_ALL;
}

/* The suffix of that text, made if there is none. NULL: no memory. */
static struct suffix *suffix_get(struct resources *set, const char *text)
{
	struct suffix *s;

	HASH_FIND_STR(set->suffixes, text, s);
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->text = text;
	HASH_ADD_KEYPTR(hh, set->suffixes, s->text, strlen(s->text), s);
	if (!s->hh.tbl) {
		free(s);
		return NULL;
	}
	return s;
}

static struct part *part_get(struct parts *parts, const struct pattern_part *key)
{
	struct part *part;

	HASH_FIND(hh, parts->by_text, key->text, key->len, part);
	if (part)
		return part;
	part = calloc(1, sizeof(*part));
	if (!part)
		return NULL;
	part->text = key->text;
	HASH_ADD_KEYPTR(hh, parts->by_text, part->text, key->len, part);
	if (!part->hh.tbl) {
		free(part);
		return NULL;
	}
	parts->lens |= 1ULL << key->len;
	return part;
}

/* Put a resource into the list of its suffix and part. Return: 0; -ENOMEM. */
static int index_pattern(struct resources *set, struct resource *r)
{
	const struct pattern_part key = pattern_literal_part(&r->pattern);
	struct suffix *s = suffix_get(set, pattern_literal_suffix(&r->pattern));
	struct part *part;

	if (!s)
		return -ENOMEM;
	if (!key.len) {
		LL_PREPEND(s->any, r);
		return 0;
	}
	part = part_get(key.at_end ? &s->end : &s->begin, &key);
	if (!part)
		return -ENOMEM;
	LL_PREPEND(part->resources, r);
	return 0;
}

static int find_gateways(struct edge *edge, const struct edge_resource *from, struct resource *r)
{
	for (; r->gateway_count < from->gateway_count; r->gateway_count++) {
		struct edge_gateway *g = edge_gateway_get(edge, from->gateways[r->gateway_count]);

		if (!g)
			return -ENOMEM;
		r->gateways[r->gateway_count] = g;
	}
	return 0;
}

/* Return: 0; -EINVAL; -EEXIST; -ENOMEM. @r is in by_id, or freed. */
static int resources_add(struct edge *edge, struct resources *set, const struct edge_resource *from)
{
	_cleanup_(freep) struct resource *r = calloc(1, sizeof(*r));
	struct resource *other, *added;

	if (!r)
		return -ENOMEM;
	if (from->gateway_count > EDGE_RESOURCE_GATEWAYS || uuid_from_text(from->uuid, r->uuid) < 0)
		return -EINVAL;
	r->id = from->id;
	r->ip_stack = from->ip_stack;
	if (find_gateways(edge, from, r) < 0)
		return -ENOMEM;

	HASH_FIND(hh_id, set->by_id, &r->id, sizeof(r->id), other);
	if (other)
		return -EEXIST;
	HASH_FIND(hh_uuid, set->by_uuid, r->uuid, UUID_STRLEN - 1, other);
	if (other)
		return -EEXIST;
	/* M-03: kept, so that its id and uuid stay unique, but it publishes nothing. */
	if (pattern_parse(from->pattern, &r->pattern) < 0)
		r->pattern = (struct pattern){0};

	added = r;
	HASH_ADD(hh_id, set->by_id, id, sizeof(r->id), added);
	if (!added->hh_id.tbl)
		return -ENOMEM;
	r = NULL;
	HASH_ADD(hh_uuid, set->by_uuid, uuid[0], UUID_STRLEN - 1, added);
	if (!added->hh_uuid.tbl)
		return -ENOMEM;
	return added->pattern.len ? index_pattern(set, added) : 0;
}

int edge_resources_new(struct edge *edge, const struct edge_resource *list, size_t count,
		       struct resources **ret_resources)
{
	_cleanup_(edge_resources_freep) struct resources *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int r = resources_add(edge, set, &list[i]);

		if (r < 0)
			return r;
	}
	*ret_resources = TAKE_PTR(set);
	return 0;
}

static void parts_done(struct parts *parts)
{
	struct part *part, *next;

	HASH_ITER (hh, parts->by_text, part, next) {
		HASH_DEL(parts->by_text, part);
		free(part);
	}
}

struct resources *edge_resources_free(struct resources *set)
{
	struct suffix *s, *s_next;
	struct resource *r, *r_next;

	if (!set)
		return NULL;
	HASH_ITER (hh, set->suffixes, s, s_next) {
		HASH_DEL(set->suffixes, s);
		parts_done(&s->begin);
		parts_done(&s->end);
		free(s);
	}
	HASH_CLEAR(hh_uuid, set->by_uuid);
	HASH_ITER (hh_id, set->by_id, r, r_next) {
		HASH_DELETE(hh_id, set->by_id, r);
		free(r);
	}
	free(set);
	return NULL;
}

static bool goes_before(const struct resource *a, const struct resource *b)
{
	int r = pattern_compare(&a->pattern, &b->pattern);

	return r ? r < 0 : strcmp(a->uuid, b->uuid) > 0;
}

/* Insert in order; the least specific ones fall out. */
static void match_insert(struct match *m, struct resource *r)
{
	unsigned int at = m->count;

	while (at && goes_before(r, m->resource[at - 1]))
		at--;
	if (at == EDGE_DOMAIN_RESOURCES)
		return;
	if (m->count < EDGE_DOMAIN_RESOURCES)
		m->count++;
	memmove(&m->resource[at + 1], &m->resource[at],
		(m->count - 1 - at) * sizeof(m->resource[0]));
	m->resource[at] = r;
}

static bool match_contains(const struct match *m, const struct resource *r)
{
	for (unsigned int i = 0; i < m->count; i++)
		if (m->resource[i] == r)
			return true;
	return false;
}

/* Some may have been tried already: a name can have the same label twice. */
static void match_list(struct resource *list, const struct dname *name, struct match *m)
{
	for (struct resource *r = list; r; r = r->next) {
		m->tried++;
		if (pattern_match(&r->pattern, name) && !match_contains(m, r))
			match_insert(m, r);
	}
}

static void match_part(const struct parts *parts, const char *text, unsigned int len,
		       const struct dname *name, struct match *m)
{
	struct part *part;

	HASH_FIND(hh, parts->by_text, text, len, part);
	if (part)
		match_list(part->resources, name, m);
}

static void match_label(const struct suffix *s, const char *label, unsigned int len,
			const struct dname *name, struct match *m)
{
	for (unsigned int n = 1; n <= len; n++) {
		if (s->begin.lens >> n & 1)
			match_part(&s->begin, label, n, name, m);
		if (s->end.lens >> n & 1)
			match_part(&s->end, label + len - n, n, name, m);
	}
}

/* What publishes the name by the suffix that begins at @at: at a label, or at its end. */
static void match_suffix(const struct resources *set, const char *at, const struct dname *name,
			 struct match *m)
{
	const char *label = name->text;
	struct suffix *s;

	HASH_FIND_STR(set->suffixes, at, s);
	if (!s)
		return;
	match_list(s->any, name, m);
	if (!s->begin.lens && !s->end.lens)
		return;
	while (label < at) {
		size_t len = strcspn(label, ".");

		match_label(s, label, (unsigned int)len, name, m);
		label += len + (label[len] == '.');
	}
}

void edge_resources_match(const struct resources *set, const struct dname *name,
			  struct match *ret_match)
{
	struct match m = {0};

	for (const char *at = name->text; *at;) {
		const char *dot = strchr(at, '.');

		match_suffix(set, at, name, &m);
		at = dot ? dot + 1 : name->text + name->len;
	}
	match_suffix(set, name->text + name->len, name, &m);
	*ret_match = m;
}
