/* SPDX-License-Identifier: BSD-2-Clause */
/* A and AAAA of a name by c-ares, see resolver.h. */
#include "io/resolver.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/ipaddr.h"

#define HALVES       2   /* of a lookup; its own port for each lookup */
#define CHANNELS_MAX 256 /* lookups with ports of their own */

struct lookup;

/* The lookup of one family. */
struct half {
	struct ares_job job;
	struct lookup *lookup;
	int family;
	enum resolver_outcome outcome; /* if it is reported from the loop's timer */
};

struct lookup {
	struct resolver *resolver;
	struct dname name;
	unsigned int refs; /* c-ares and the report, of both halves */
	struct half half[HALVES];
};

struct resolver {
	struct ares_loop *loop;
	resolver_fn fn;
	void *ctx;
	unsigned int in_flight; /* halves that are to be reported */
	bool closing;
};

static void lookup_unref(struct lookup *lookup)
{
	if (--lookup->refs == 0)
		free(lookup);
}

static void half_report(struct half *half, const struct resolver_answer *answer)
{
	struct lookup *lookup = half->lookup;
	struct resolver *resolver = lookup->resolver;

	resolver->in_flight--;
	if (!resolver->closing)
		resolver->fn(resolver->ctx, &lookup->name, answer);
	lookup_unref(lookup);
}

static void on_job(void *ctx, struct ares_job *job)
{
	struct half *half = (struct half *)((char *)job - offsetof(struct half, job));

	(void)ctx;
	half_report(half,
		    &(struct resolver_answer){.family = half->family, .outcome = half->outcome});
}

static enum resolver_outcome outcome_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return RESOLVER_OK;
	case ARES_ENODATA:
		return RESOLVER_NODATA;
	case ARES_ENOTFOUND:
		return RESOLVER_NXDOMAIN;
	case ARES_ETIMEOUT:
		return RESOLVER_TIMEOUT;
	default:
		return RESOLVER_FAILED;
	}
}

static uint32_t ttl_min(uint32_t a, int b)
{
	/* RFC 2181 8: a TTL with the top bit set counts as zero. */
	uint32_t ttl = b > 0 ? (uint32_t)b : 0;

	return ttl < a ? ttl : a;
}

/* Both parsers follow CNAMEs and put the chain's least TTL into each address. */
static int parse_a(const unsigned char *bytes, int len, struct fq_addr *addrs,
		   struct resolver_answer *answer)
{
	struct ares_addrttl record[RESOLVER_ADDRESSES_MAX];
	int n = RESOLVER_ADDRESSES_MAX;
	int status = ares_parse_a_reply(bytes, len, NULL, record, &n);

	if (status != ARES_SUCCESS)
		return status;
	for (int i = 0; i < n; i++) {
		addrs[i] = ipaddr_from_v4(&record[i].ipaddr);
		answer->ttl_s = ttl_min(answer->ttl_s, record[i].ttl);
	}
	answer->count = (unsigned int)n;
	return ARES_SUCCESS;
}

static int parse_aaaa(const unsigned char *bytes, int len, struct fq_addr *addrs,
		      struct resolver_answer *answer)
{
	struct ares_addr6ttl record[RESOLVER_ADDRESSES_MAX];
	int n = RESOLVER_ADDRESSES_MAX;
	int status = ares_parse_aaaa_reply(bytes, len, NULL, record, &n);

	if (status != ARES_SUCCESS)
		return status;
	for (int i = 0; i < n; i++) {
		addrs[i] = ipaddr_from_v6(&record[i].ip6addr);
		answer->ttl_s = ttl_min(answer->ttl_s, record[i].ttl);
	}
	answer->count = (unsigned int)n;
	return ARES_SUCCESS;
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct half *half = arg;
	struct lookup *lookup = half->lookup;
	struct fq_addr addrs[RESOLVER_ADDRESSES_MAX];
	struct resolver_answer answer = {.family = half->family, .ttl_s = UINT32_MAX};

	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = half->family == AF_INET ? parse_a(bytes, len, addrs, &answer)
						 : parse_aaaa(bytes, len, addrs, &answer);
	half->outcome = outcome_of(status);
	if (ares_loop_finish(lookup->resolver->loop, &half->job)) {
		answer.outcome = half->outcome;
		if (answer.outcome == RESOLVER_OK && answer.count == 0)
			answer.outcome = RESOLVER_NODATA;
		if (answer.outcome == RESOLVER_OK)
			answer.addrs = addrs;
		else
			answer.ttl_s = 0;
		half_report(half, &answer);
	}
	lookup_unref(lookup);
}

int resolver_new(sd_event *event, const struct resolver_settings *settings, resolver_fn fn,
		 void *ctx, struct resolver **ret_resolver)
{
	_cleanup_(resolver_freep) struct resolver *resolver = calloc(1, sizeof(*resolver));
	const struct ares_loop_settings loop = {
		.timeout_ms = settings->timeout_ms,
		.queries_each = HALVES,
		.channels_max = CHANNELS_MAX,
		.fn = on_job,
		.ctx = resolver,
	};
	int r;

	if (!resolver)
		return -ENOMEM;
	resolver->fn = fn;
	resolver->ctx = ctx;
	r = ares_loop_open(event, &settings->servers, &loop, &resolver->loop);
	if (r < 0)
		return r;
	*ret_resolver = TAKE_PTR(resolver);
	return 0;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	resolver->closing = true;
	ares_loop_close(resolver->loop);
	free(resolver);
}

int resolver_query(struct resolver *resolver, const struct dname *name)
{
	static const struct {
		int family, type;
	} halves[HALVES] = {{AF_INET, ns_t_a}, {AF_INET6, ns_t_aaaa}};
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	ares_channel channel;
	int r;

	if (!lookup)
		return -ENOMEM;
	r = ares_loop_begin(resolver->loop, HALVES, &channel);
	if (r < 0) {
		free(lookup);
		return r;
	}
	lookup->resolver = resolver;
	lookup->name = *name;
	lookup->refs = 2 * HALVES;
	for (unsigned int i = 0; i < HALVES; i++) {
		struct half *half = &lookup->half[i];

		half->lookup = lookup;
		half->family = halves[i].family;
		half->outcome = RESOLVER_TIMEOUT;
		resolver->in_flight++;
		ares_loop_add(resolver->loop, &half->job);
	}
	for (unsigned int i = 0; i < HALVES; i++)
		ares_query(channel, lookup->name.text, ns_c_in, halves[i].type, on_reply,
			   &lookup->half[i]);
	ares_loop_end(resolver->loop);
	return 0;
}

unsigned int resolver_in_flight(const struct resolver *resolver)
{
	return resolver ? resolver->in_flight : 0;
}
