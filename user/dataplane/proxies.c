/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proxy addresses in the programs' arrays, see proxies.h.
 *
 * A verdict is changed where it stands, in one store. A translation is not: it gets another
 * element, which is named last.
 */
#include "dataplane/proxies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ipaddr.h"
#include "dataplane/elements.h"

#define PAGE (1U << PROXY_PAGE_BITS)

struct proxies {
	struct proxy_pools pools;
	struct pages pages;
	struct elements edge, xlat;
	bool write;
};

/* ---- where an address has its place ---- */

static const struct fq_addr *mask_of(const struct proxies *p, bool v4)
{
	return v4 ? &p->pools.mask4 : &p->pools.mask6;
}

static bool in_pool(const struct proxies *p, const struct fq_addr *a, bool v4)
{
	const struct fq_addr *pool = v4 ? &p->pools.pool4 : &p->pools.pool6;
	const struct fq_addr *mask = mask_of(p, v4);

	for (int i = 0; i < 4; i++)
		if ((a->w[i] & mask->w[i]) != pool->w[i])
			return false;
	return mask->w[0] != 0;
}

/* Return: 0 with *@ret_index; -ERANGE. */
static int index_of(const struct proxies *p, uint32_t scope, const struct fq_addr *a,
		    uint64_t *ret_index)
{
	bool v4 = ipaddr_is_v4(a);
	uint32_t number = in_pool(p, a, v4) ? proxy_number(a, mask_of(p, v4), v4) : PROXY_NONE;

	if (number == PROXY_NONE || scope >= FQ_SCOPES_MAX)
		return -ERANGE;
	*ret_index = proxy_index(scope, number);
	return 0;
}

/* NULL: nothing is known of it. */
static struct fq_proxy *proxy_at(const struct proxies *p, uint32_t scope, const struct fq_addr *a)
{
	uint64_t index;

	return index_of(p, scope, a, &index) < 0 ? NULL : pages_at(&p->pages, index);
}

static int proxy_get(struct proxies *p, uint32_t scope, const struct fq_addr *a,
		     struct fq_proxy **ret_proxy)
{
	uint64_t index;
	int r = index_of(p, scope, a, &index);

	return r < 0 ? r : pages_get(&p->pages, index, ret_proxy);
}

static void address_of(const struct proxies *p, uint64_t index, struct fq_xlat_key *ret_key)
{
	uint32_t host = index & ((1U << PROXY_POOL_BITS) - 1);
	bool v4 = !(index >> PROXY_POOL_BITS & 1);

	ret_key->scope = (uint32_t)(index >> (PROXY_POOL_BITS + 1));
	ret_key->proxy = ipaddr_add(v4 ? &p->pools.pool4 : &p->pools.pool6, host);
}

/* ---- verdicts and translations ---- */

/* The programs see all that was written before, and then this. */
static void name(uint32_t *where, uint32_t index)
{
	__atomic_store_n(where, index, __ATOMIC_RELEASE);
}

int proxies_set_edge(struct proxies *p, const struct fq_addr *proxy, const struct fq_edge *edge)
{
	struct fq_proxy *at;
	struct fq_edge *have;
	uint32_t index;
	int r = proxy_get(p, 0, proxy, &at);

	if (r < 0)
		return r;
	index = at->edge;
	if (!index)
		r = elements_take(&p->edge, false, &index);
	if (r < 0)
		return r;
	have = pages_at(&p->edge.pages, index);
	__atomic_store_n(&have->touch_at, edge->touch_at, __ATOMIC_RELAXED);
	__atomic_store_n(&have->word, edge->word, __ATOMIC_RELEASE);
	elements_keep(&p->edge, index);
	name(&at->edge, index);
	return 0;
}

int proxies_set_xlat(struct proxies *p, const struct fq_xlat_key *key, const struct fq_xlat *xlat)
{
	struct fq_proxy *at;
	uint32_t index, before;
	int r = proxy_get(p, key->scope, &key->proxy, &at);

	if (r < 0)
		return r;
	before = at->xlat;
	if (before && memcmp(pages_at(&p->xlat.pages, before), xlat, sizeof(*xlat)) == 0) {
		elements_keep(&p->xlat, before);
		return 0;
	}
	r = elements_take(&p->xlat, before, &index);
	if (r < 0)
		return r;
	memcpy(pages_at(&p->xlat.pages, index), xlat, sizeof(*xlat));
	name(&at->xlat, index);
	if (before)
		elements_give(&p->xlat, before);
	return 0;
}

static void drop(struct elements *e, uint32_t *where)
{
	uint32_t index = *where;

	if (!index)
		return;
	name(where, 0);
	elements_give(e, index);
}

void proxies_del_edge(struct proxies *p, const struct fq_addr *proxy)
{
	struct fq_proxy *at = proxy_at(p, 0, proxy);

	if (at)
		drop(&p->edge, &at->edge);
}

void proxies_del_xlat(struct proxies *p, const struct fq_xlat_key *key)
{
	struct fq_proxy *at = proxy_at(p, key->scope, &key->proxy);

	if (at)
		drop(&p->xlat, &at->xlat);
}

void proxies_expect(const struct proxies *p, uint32_t scope, const struct fq_addr *proxy)
{
	const struct fq_proxy *at = proxy_at(p, scope, proxy);

	if (at && at->edge)
		__builtin_prefetch(pages_at(&p->edge.pages, at->edge), 1);
	if (at && at->xlat)
		__builtin_prefetch(pages_at(&p->xlat.pages, at->xlat));
}

/* ---- looking ---- */

/* A copy of an element, if it is the address' still: another process may be writing. */
static bool copy(const struct elements *e, const uint32_t *where, void *ret_element)
{
	for (int i = 0; i < 4; i++) {
		uint32_t index = __atomic_load_n(where, __ATOMIC_ACQUIRE);
		const void *element = index ? pages_at(&e->pages, index) : NULL;

		if (!element)
			return false;
		memcpy(ret_element, element, e->pages.size);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(where, __ATOMIC_RELAXED) == index)
			return true;
	}
	return false;
}

bool proxies_get_edge(const struct proxies *p, const struct fq_addr *proxy,
		      struct fq_edge *ret_edge)
{
	const struct fq_proxy *at = proxy_at(p, 0, proxy);

	return at && copy(&p->edge, &at->edge, ret_edge);
}

bool proxies_get_xlat(const struct proxies *p, const struct fq_xlat_key *key,
		      struct fq_xlat *ret_xlat)
{
	const struct fq_proxy *at = proxy_at(p, key->scope, &key->proxy);

	return at && copy(&p->xlat, &at->xlat, ret_xlat);
}

/* The element itself for who writes, for others a copy in @room. */
static const void *look(const struct proxies *p, const struct elements *e, const uint32_t *where,
			void *room)
{
	if (p->write)
		return *where ? pages_at(&e->pages, *where) : NULL;
	return copy(e, where, room) ? room : NULL;
}

typedef int (*place_fn)(struct proxies *p, uint64_t index, struct fq_proxy *at, void *ctx);

/* Addresses of which something is known. */
static int each_place(struct proxies *p, place_fn cb, void *ctx)
{
	int r = 0;

	for (uint64_t page = 0; page < PROXY_PAGES && r == 0; page++) {
		struct fq_proxy *first = pages_at(&p->pages, page * PAGE);

		for (uint32_t i = 0; first && i < PAGE && r == 0; i++)
			if (first[i].edge || first[i].xlat)
				r = cb(p, page * PAGE + i, &first[i], ctx);
	}
	return r;
}

struct showing {
	proxy_fn cb;
	void *ctx;
};

static int show(struct proxies *p, uint64_t index, struct fq_proxy *at, void *ctx)
{
	const struct showing *s = ctx;
	struct fq_edge edge_room;
	struct fq_xlat xlat_room;
	const struct fq_edge *edge = look(p, &p->edge, &at->edge, &edge_room);
	const struct fq_xlat *xlat = look(p, &p->xlat, &at->xlat, &xlat_room);
	struct fq_xlat_key key;

	if (!edge && !xlat)
		return 0;
	address_of(p, index, &key);
	return s->cb(s->ctx, &key, edge, xlat);
}

int proxies_each(const struct proxies *p, proxy_fn cb, void *ctx)
{
	struct showing s = {cb, ctx};

	return each_place((struct proxies *)p, show, &s);
}

/* ---- taking over ---- */

/* What cannot be is not the address' any more. */
static int find_element(struct elements *e, uint32_t *where)
{
	int r = *where ? elements_found(e, *where) : 0;

	if (r == -ENOENT)
		name(where, 0);
	return r == -ENOENT ? 0 : r;
}

static int find_elements(struct proxies *p, uint64_t index, struct fq_proxy *at, void *ctx)
{
	int r = find_element(&p->edge, &at->edge);

	(void)index;
	(void)ctx;
	return r < 0 ? r : find_element(&p->xlat, &at->xlat);
}

static int ready(struct proxies *p)
{
	int r;

	*p->edge.used = *p->xlat.used = 0;
	r = each_place(p, find_elements, NULL);
	if (r == 0)
		r = elements_ready(&p->edge);
	return r < 0 ? r : elements_ready(&p->xlat);
}

static int open_pages(struct pages *pages, int fd, size_t size, unsigned int bits, uint32_t count,
		      bool write, uint64_t *there)
{
	*pages = (struct pages){.fd = fd,
				.size = size,
				.bits = bits,
				.count = count,
				.write = write,
				.there = there};
	return pages_open(pages);
}

int proxies_open(const struct proxy_fds *fds, const struct proxy_pools *pools, bool write,
		 struct proxy_usage *usage, struct proxies **ret_proxies)
{
	_cleanup_(proxies_freep) struct proxies *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->pools = *pools;
	p->write = write;
	/* Another limit comes with proxies_limit. */
	if (write)
		usage->edge_max = usage->xlat_max = UINT32_MAX;
	p->edge = (struct elements){
		.fresh = 1, .used = &usage->edge, .max = &usage->edge_max, .pages.kept = -1};
	p->xlat = (struct elements){
		.fresh = 1, .used = &usage->xlat, .max = &usage->xlat_max, .pages.kept = -1};
	r = open_pages(&p->pages, fds->proxies, sizeof(struct fq_proxy), PROXY_PAGE_BITS,
		       PROXY_PAGES, write, usage->proxy_pages);
	if (r == 0)
		r = open_pages(&p->edge.pages, fds->edge, sizeof(struct fq_edge), EDGE_PAGE_BITS,
			       EDGE_PAGES, write, usage->edge_pages);
	if (r == 0)
		r = open_pages(&p->xlat.pages, fds->xlat, sizeof(struct fq_xlat), XLAT_PAGE_BITS,
			       XLAT_PAGES, write, usage->xlat_pages);
	if (r == 0 && write)
		r = ready(p);
	if (r < 0)
		return r;
	*ret_proxies = TAKE_PTR(p);
	return 0;
}

struct proxies *proxies_free(struct proxies *p)
{
	if (!p)
		return NULL;
	pages_close(&p->pages);
	elements_close(&p->edge);
	elements_close(&p->xlat);
	free(p);
	return NULL;
}

void proxies_limit(struct proxies *p, uint32_t edges, uint32_t xlats)
{
	*p->edge.max = edges;
	*p->xlat.max = xlats;
}

int proxies_begin(struct proxies *p)
{
	int r = elements_begin(&p->edge);

	return r < 0 ? r : elements_begin(&p->xlat);
}

void proxies_keep_xlat(struct proxies *p, const struct fq_xlat_key *key)
{
	const struct fq_proxy *at = proxy_at(p, key->scope, &key->proxy);

	if (at && at->xlat)
		elements_keep(&p->xlat, at->xlat);
}

struct dropping {
	bool all; /* or what is stale */
	unsigned int count;
};

static int drop_place(struct proxies *p, uint64_t index, struct fq_proxy *at, void *ctx)
{
	struct dropping *d = ctx;

	(void)index;
	if (at->edge && (d->all || elements_is_stale(&p->edge, at->edge))) {
		drop(&p->edge, &at->edge);
		d->count++;
	}
	if (at->xlat && (d->all || elements_is_stale(&p->xlat, at->xlat))) {
		drop(&p->xlat, &at->xlat);
		d->count++;
	}
	return 0;
}

unsigned int proxies_end(struct proxies *p)
{
	struct dropping d = {0};

	(void)each_place(p, drop_place, &d);
	elements_end(&p->edge);
	elements_end(&p->xlat);
	return d.count;
}

void proxies_clear(struct proxies *p)
{
	struct dropping d = {.all = true};

	(void)each_place(p, drop_place, &d);
}
