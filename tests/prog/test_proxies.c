/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs know of proxy addresses (user/dataplane/proxies.c), in maps of the kernel's: by
 * whom elements are used, what a process finds that comes after another one, and that neither a
 * program nor another process ever sees a mixture.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <cmocka.h>

#include "../lib/prog.h"
#include "../lib/table_put.h"
#include "base/ipaddr.h"

#include "fqdnat.skel.h" /* needs the types of prog.h */

/* The maps of the loaded programs, by a second pair of eyes. */
static struct proxies *open_again(struct prog *t, bool write)
{
	const struct fq_settings *s = (const struct fq_settings *)&t->skel->rodata->fq_settings;
	const struct proxy_pools pools = {s->pool4, s->pool4_mask, s->pool6, s->pool6_mask};
	const struct proxy_fds fds = {bpf_map__fd(t->skel->maps.proxies),
				      bpf_map__fd(t->skel->maps.edge),
				      bpf_map__fd(t->skel->maps.xlat)};
	struct proxies *p;

	assert_int_equal(proxies_open(&fds, &pools, write, &t->proxy_usage, &p), 0);
	return p;
}

/* As a process that has been killed leaves them, and the next one finds them. */
static void start_again(struct prog *t)
{
	proxies_free(t->proxies);
	t->proxies = open_again(t, true);
}

static struct fq_addr proxy(uint32_t i)
{
	const struct fq_addr first = prog_addr("100.96.8.0");

	return ipaddr_add(&first, i);
}

static struct fq_xlat_key key(uint32_t scope, uint32_t i)
{
	return (struct fq_xlat_key){.scope = scope, .proxy = proxy(i)};
}

/* All of it says which one it is. */
static struct fq_xlat xlat(uint32_t n)
{
	struct fq_xlat x = {.domain = n, .has_real = 1, .resources = FQ_XLAT_RESOURCES};

	for (int i = 0; i < 4; i++)
		x.real.w[i] = n;
	for (int i = 0; i < FQ_XLAT_RESOURCES; i++)
		x.resource[i] = n;
	return x;
}

static void set_xlat(struct prog *t, uint32_t scope, uint32_t i, uint32_t n)
{
	const struct fq_xlat_key k = key(scope, i);
	const struct fq_xlat x = xlat(n);

	assert_int_equal(proxies_set_xlat(t->proxies, &k, &x), 0);
}

/* 0: there is none. */
static uint32_t get_xlat(const struct proxies *p, uint32_t scope, uint32_t i)
{
	const struct fq_xlat_key k = key(scope, i);
	struct fq_xlat x, expected;

	if (!proxies_get_xlat(p, &k, &x))
		return 0;
	expected = xlat(x.domain);
	assert_memory_equal(&x, &expected, sizeof(x));
	return x.domain;
}

static int empty(void **state)
{
	struct prog *t = *state;

	proxies_limit(t->proxies, UINT32_MAX, UINT32_MAX);
	prog_reset(t);
	proxies_clear(t->proxies);
	return 0;
}

static void scopes_and_families_have_addresses_of_their_own(void **state)
{
	static const char *const addresses[] = {"100.96.8.1", "100.127.255.254",
						"fd00:2021:1111:8000::1",
						"fd00:2021:1111:8000::1f:fffe"};
	static const uint32_t scopes[] = {0, 1, FQ_SCOPES_MAX - 1};
	struct prog *t = *state;

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t n = 0; n < 12; n++) {
			const struct fq_xlat_key k = {.scope = scopes[n / 4],
						      .proxy = prog_addr(addresses[n % 4])};
			const struct fq_xlat want = xlat(1 + n);
			struct fq_xlat x;

			if (pass == 0)
				assert_int_equal(proxies_set_xlat(t->proxies, &k, &want), 0);
			assert_true(proxies_get_xlat(t->proxies, &k, &x));
			assert_memory_equal(&x, &want, sizeof(x));
		}
		start_again(t);
	}
	assert_int_equal(t->proxy_usage.xlat, 12);
}

static void what_is_in_no_pool_is_refused(void **state)
{
	static const char *const addresses[] = {"100.95.255.255", "100.128.0.0", "192.0.2.1",
						"fd00:2021:1111:8000::20:0",
						"fd00:2021:1111:8000:1::1"};
	const struct fq_xlat x = xlat(1);
	const struct fq_edge e = {.domain = 1};
	struct prog *t = *state;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct fq_xlat_key k = {.proxy = prog_addr(addresses[i])};

		assert_int_equal(proxies_set_edge(t->proxies, &k.proxy, &e), -ERANGE);
		assert_int_equal(proxies_set_xlat(t->proxies, &k, &x), -ERANGE);
		proxies_del_xlat(t->proxies, &k);
	}
	assert_int_equal(
		proxies_set_xlat(t->proxies, &(struct fq_xlat_key){FQ_SCOPES_MAX, proxy(0)}, &x),
		-ERANGE);
	assert_int_equal(t->proxy_usage.edge + t->proxy_usage.xlat, 0);
}

/* What is given back is used again, and never more than there may be. */
static void elements_are_used_again(void **state)
{
	enum { MANY = 3000 };
	struct prog *t = *state;
	const struct fq_xlat_key last = key(0, MANY);
	const struct fq_xlat x = xlat(1);

	proxies_limit(t->proxies, 1, MANY);
	for (uint32_t pass = 1; pass < 5; pass++) {
		for (uint32_t i = 0; i < MANY; i++)
			set_xlat(t, 0, i, pass * MANY + i);
		assert_int_equal(proxies_set_xlat(t->proxies, &last, &x), -E2BIG);
		for (uint32_t i = 0; i < MANY; i++)
			assert_int_equal(get_xlat(t->proxies, 0, i), pass * MANY + i);
		assert_int_equal(t->proxy_usage.xlat, MANY);
		if (pass == 2)
			start_again(t);
		if (pass == 2)
			proxies_limit(t->proxies, 1, MANY);
	}
	/* Twelve thousand changes; a page has more, but a second one was not made. */
	assert_int_equal(t->proxy_usage.xlat_pages[0], 1);
}

/* Killed before an element was named, or with names that cannot be. */
static void what_cannot_be_is_not_believed(void **state)
{
	struct prog *t = *state;
	struct fq_proxy *page;
	uint32_t id, zero = 0, index;
	int fd;

	for (uint32_t i = 0; i < 4; i++)
		set_xlat(t, 0, i, 1 + i);
	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(t->skel->maps.proxies), &zero, &id), 0);
	fd = bpf_map_get_fd_by_id(id);
	assert_true(fd >= 0);
	page = mmap(NULL, sizeof(*page) << PROXY_PAGE_BITS, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    0);
	close(fd);
	assert_ptr_not_equal(page, MAP_FAILED);
	page += 8 << 8; /* 100.96.8.0 */
	index = page[0].xlat;
	page[1].xlat = 0;
	page[2].xlat = index;
	page[3].xlat = XLAT_PAGES << XLAT_PAGE_BITS;
	page[4].edge = UINT32_MAX;
	start_again(t);
	assert_int_equal(t->proxy_usage.xlat, 1);
	assert_int_equal(t->proxy_usage.edge, 0);
	assert_int_equal(get_xlat(t->proxies, 0, 0), 1);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(get_xlat(t->proxies, 0, i), 0);
	for (uint32_t i = 0; i < 5; i++)
		set_xlat(t, 0, i, 10 + i);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(get_xlat(t->proxies, 0, i), 10 + i);
	munmap(page - (8 << 8), sizeof(*page) << PROXY_PAGE_BITS);
}

/* ---- while it is read ---- */

#define READS    2000000
#define SESSIONS 3000
#define NUMBERS  8

struct changing {
	struct prog *t;
	bool end;
};

static void *change(void *ctx)
{
	struct changing *c = ctx;

	for (uint32_t n = 0; !__atomic_load_n(&c->end, __ATOMIC_ACQUIRE); n++)
		set_xlat(c->t, 0, n % 2, 1 + n % NUMBERS);
	return NULL;
}

/* get_xlat compares. */
static void another_process_sees_no_mixture(void **state)
{
	struct prog *t = *state;
	_cleanup_(proxies_freep) struct proxies *other = NULL;
	struct changing c = {.t = t};
	unsigned int seen = 0;
	pthread_t thread;

	proxies_limit(t->proxies, 1, 2); /* as few elements as possible */
	set_xlat(t, 0, 0, 1);
	set_xlat(t, 0, 1, 1);
	other = open_again(t, false);
	proxies_limit(t->proxies, 1, 2);
	assert_int_equal(pthread_create(&thread, NULL, change, &c), 0);
	for (uint32_t i = 0; i < READS; i++)
		seen += get_xlat(other, 0, 0) != 0;
	__atomic_store_n(&c.end, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	assert_int_not_equal(seen, 0);
}

/* Where it leads, and whose it is: even numbers to one server, odd ones to the other. */
static struct fq_xlat either(uint32_t n)
{
	return (struct fq_xlat){.real = prog_addr(n % 2 ? SERVER4 : SILENT4),
				.domain = 1 + n % 2,
				.has_real = 1,
				.resources = 1,
				.resource = {RESOURCE}};
}

static void *change_way(void *ctx)
{
	const struct fq_xlat_key k = {.proxy = prog_addr(PROXY4)};
	struct changing *c = ctx;

	for (uint32_t n = 0; !__atomic_load_n(&c->end, __ATOMIC_ACQUIRE); n++) {
		const struct fq_xlat x = either(n);

		assert_int_equal(proxies_set_xlat(c->t->proxies, &k, &x), 0);
	}
	return NULL;
}

/* A session's address and domain are of one translation. */
static void a_program_sees_no_mixture(void **state)
{
	struct prog *t = *state;
	struct changing c = {.t = t};
	const struct fq_xlat first = either(0);
	const struct fq_xlat_key k = {.proxy = prog_addr(PROXY4)};
	pthread_t thread;

	prog_edge(t, PROXY4, FQ_EDGE_FORWARD);
	assert_int_equal(proxies_set_xlat(t->proxies, &k, &first), 0);
	assert_int_equal(pthread_create(&thread, NULL, change_way, &c), 0);
	for (uint16_t port = 1024; port < 1024 + SESSIONS; port++) {
		const struct fq_tuple out = prog_tuple(PKT_UDP, CLIENT4, port, PROXY4, 0);
		struct session_entry s;
		struct prog_result res;
		struct fq_addr to;
		struct pkt p;

		PKT(&p, .src = CLIENT4, .dst = PROXY4, .proto = PKT_UDP, .sport = port,
		    .dport = 53);
		prog_run(t, &p, CLIENT_SIDE, &res);
		s = prog_session(t, &out);
		to = prog_addr(s.domain == 2 ? SERVER4 : SILENT4);
		assert_memory_equal(&s.dst, &to, sizeof(to));
		table_clear(&t->table);
		prog_quota(t, CLIENT, 1000);
		t->control->sessions = 0;
	}
	__atomic_store_n(&c.end, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, empty)
	const struct CMUnitTest tests[] = {
		T(scopes_and_families_have_addresses_of_their_own),
		T(what_is_in_no_pool_is_refused),
		T(elements_are_used_again),
		T(what_cannot_be_is_not_believed),
		T(another_process_sees_no_mixture),
		T(a_program_sees_no_mixture),
	};

	return cmocka_run_group_tests_name("proxies", tests, prog_group_setup, prog_group_teardown);
}
