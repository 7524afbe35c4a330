/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway under test: its policy as tables, its actions applied to models of the maps, and
 * what it has said. Used by test_gateway*.c and test_policy.c.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/gateway.h"

#define WWW "www.corp.example"

#define N(a)      (sizeof(a) / sizeof((a)[0]))
#define LAB_ROWS  64
#define LAB_LAN   1 /* client of scope 0 */
#define LAB_FAR   2 /* client of scope 7 */
#define LAB_SCOPE 7
#define LAB_CORP  10 /* *.corp.example, tcp 443 */
#define LAB_WWW   11 /* www.corp.example, everything */
#define LAB_OTHER 12 /* *.other.example, icmp */

static const char *const lab_uuid[] = {
	[LAB_CORP] = "00000000-0000-0000-0000-00000000000a",
	[LAB_WWW] = "00000000-0000-0000-0000-00000000000b",
	[LAB_OTHER] = "00000000-0000-0000-0000-00000000000c",
	[13] = "00000000-0000-0000-0000-00000000000d",
};

struct lab {
	struct gateway *gw;
	struct instant now;

	/* The policy that lab_reload makes. */
	struct policy_client client[4];
	struct ipprefix prefix[4][2];
	unsigned int clients;
	struct policy_resource resource[4];
	unsigned int resources;
	struct policy_grant grant[8];
	unsigned int grants;

	/* The maps. */
	struct {
		struct fq_xlat_key key;
		struct fq_xlat value;
	} xlat[LAB_ROWS];
	unsigned int xlats;
	struct {
		struct fq_prefix key;
		struct fq_client value;
	} clientmap[LAB_ROWS];
	unsigned int clientmaps;
	struct {
		struct fq_grant_key key;
		struct fq_grant value;
	} grantmap[LAB_ROWS];
	unsigned int grantmaps;
	struct {
		uint32_t key;
		struct fq_filter value;
	} filter[LAB_ROWS];
	unsigned int filters;

	/* What was said since lab_clear. */
	struct {
		uint32_t scope, generation, resource;
		char domain[256];
		bool active;
	} status[1024];
	unsigned int statuses;
	struct dname resolve[1024];
	unsigned int resolves, changes, goodbyes, records, gone, sets, dels, actions;
	unsigned int ended;
	uint32_t ended_resource;
	unsigned int limited, invalid;
	struct fq_addr record[GATEWAY_FAMILIES][GATEWAY_ADDRESSES_MAX];
	unsigned int record_count[GATEWAY_FAMILIES];
	uint32_t record_domain;
	bool changed_last;
};

static inline struct dname lab_name(const char *text)
{
	struct dname name;

	assert_int_equal(dname_from_text(text, &name), 0);
	return name;
}

static inline struct fq_addr lab_addr(const char *text)
{
	struct fq_addr addr;

	assert_int_equal(ipaddr_parse(text, &addr), 0);
	return addr;
}

/* Set or delete a row of a model map. */
#define LAB_FIND(lab, map, count, k)                                                           \
	({                                                                                     \
		unsigned int i_ = 0;                                                           \
		while (i_ < (lab)->count && memcmp(&(lab)->map[i_].key, &(k), sizeof(k)) != 0) \
			i_++;                                                                  \
		i_;                                                                            \
	})
#define LAB_SET(lab, map, count, k, v)                           \
	do {                                                     \
		unsigned int at_ = LAB_FIND(lab, map, count, k); \
		assert_true(at_ < LAB_ROWS);                     \
		(lab)->map[at_].key = (k);                       \
		(lab)->map[at_].value = (v);                     \
		(lab)->count += at_ == (lab)->count;             \
	} while (0)
#define LAB_DEL(lab, map, count, k)                                                         \
	do {                                                                                \
		unsigned int at_ = LAB_FIND(lab, map, count, k);                            \
		assert_true(at_ < (lab)->count); /* nothing is deleted that is not there */ \
		(lab)->map[at_] = (lab)->map[--(lab)->count];                               \
	} while (0)

static inline void lab_apply(struct lab *lab, const struct gateway_action *a)
{
	lab->actions++;
	lab->changed_last = a->kind == GATEWAY_POLICY_CHANGED;
	switch (a->kind) {
	case GATEWAY_RESOLVE:
		lab->resolve[lab->resolves++] = a->resolve.name;
		break;
	case GATEWAY_STATUS:
		assert_true(lab->statuses < N(lab->status));
		assert_int_equal(a->status.msg.event, CONTROL_DOMAIN_STATUS);
		lab->status[lab->statuses].scope = a->status.scope;
		lab->status[lab->statuses].generation = a->status.msg.generation;
		lab->status[lab->statuses].resource = a->status.resource;
		lab->status[lab->statuses].active = a->status.msg.status == CONTROL_ACTIVE;
		strcpy(lab->status[lab->statuses++].domain, a->status.msg.domain.text);
		break;
	case GATEWAY_GOODBYE:
		lab->goodbyes++;
		break;
	case GATEWAY_XLAT_SET:
		lab->sets++;
		LAB_SET(lab, xlat, xlats, a->xlat.key, a->xlat.value);
		break;
	case GATEWAY_XLAT_DEL:
		lab->dels++;
		LAB_DEL(lab, xlat, xlats, a->xlat.key);
		break;
	case GATEWAY_CLIENT_SET:
		LAB_SET(lab, clientmap, clientmaps, a->client.key, a->client.value);
		break;
	case GATEWAY_CLIENT_DEL:
		LAB_DEL(lab, clientmap, clientmaps, a->client.key);
		break;
	case GATEWAY_GRANT_SET:
		LAB_SET(lab, grantmap, grantmaps, a->grant.key, a->grant.value);
		break;
	case GATEWAY_GRANT_DEL:
		LAB_DEL(lab, grantmap, grantmaps, a->grant.key);
		break;
	case GATEWAY_FILTER_SET:
		LAB_SET(lab, filter, filters, a->filter.resource, a->filter.value);
		break;
	case GATEWAY_FILTER_DEL:
		LAB_DEL(lab, filter, filters, a->filter.resource);
		break;
	case GATEWAY_POLICY_CHANGED:
		lab->changes++;
		break;
	case GATEWAY_RECORDS:
		lab->records++;
		lab->record_domain = a->records.domain;
		for (unsigned int f = 0; f < GATEWAY_FAMILIES; f++) {
			lab->record_count[f] = a->records.records->count[f];
			for (unsigned int i = 0; i < lab->record_count[f]; i++)
				lab->record[f][i] = a->records.records->addr[f][i];
		}
		break;
	case GATEWAY_DOMAIN_GONE:
		lab->gone++;
		break;
	case GATEWAY_SESSIONS_END:
		lab->ended++;
		lab->ended_resource = a->end.resource;
		break;
	case GATEWAY_EVENT:
		lab->limited += a->event.reason == FQ_R_RESOLVE_LIMITED;
		lab->invalid += a->event.reason == FQ_R_CONTROL_INVALID;
		break;
	}
}

static inline void lab_drain(struct lab *lab)
{
	struct gateway_action action;

	while (gateway_next(lab->gw, &action))
		lab_apply(lab, &action);
}

static inline void lab_clear(struct lab *lab)
{
	lab->statuses = lab->resolves = lab->changes = lab->goodbyes = lab->records = 0;
	lab->ended = lab->gone = lab->sets = lab->dels = lab->actions = lab->limited =
		lab->invalid = 0;
}

static inline void lab_client(struct lab *lab, uint32_t id, uint32_t scope, const char *prefix)
{
	struct policy_client *client = &lab->client[lab->clients];

	assert_int_equal(ipprefix_parse(prefix, &lab->prefix[lab->clients][0]), 0);
	*client = (struct policy_client){
		.id = id,
		.scope = scope,
		.name = "client",
		.prefixes = lab->prefix[lab->clients],
		.prefix_count = 1,
	};
	lab->clients++;
}

static inline void lab_resource(struct lab *lab, uint32_t id, const char *pattern,
				struct fq_filter filter)
{
	lab->resource[lab->resources++] = (struct policy_resource){
		.id = id,
		.uuid = lab_uuid[id],
		.name = "resource",
		.pattern = pattern,
		.filter = filter,
	};
}

static inline void lab_grant(struct lab *lab, uint32_t client, uint32_t resource)
{
	lab->grant[lab->grants++] = (struct policy_grant){client, resource, INSTANT_NEVER};
}

static inline struct policy *lab_policy(const struct lab *lab)
{
	struct policy *policy;

	assert_int_equal(policy_new(&policy), 0);
	for (unsigned int i = 0; i < lab->clients; i++)
		assert_int_equal(policy_add_client(policy, &lab->client[i]), 0);
	for (unsigned int i = 0; i < lab->resources; i++)
		assert_int_equal(policy_add_resource(policy, &lab->resource[i]), 0);
	for (unsigned int i = 0; i < lab->grants; i++)
		assert_int_equal(policy_put_grant(policy, &lab->grant[i]), 0);
	return policy;
}

static inline void lab_reload(struct lab *lab)
{
	assert_int_equal(gateway_set_policy(lab->gw, lab_policy(lab), lab->now), 0);
	lab_drain(lab);
}

static inline int lab_domain_id(void *ctx, const struct dname *name, uint32_t *ret_id)
{
	(void)ctx;
	*ret_id = 1000;
	for (unsigned int i = 0; i < name->len; i++)
		*ret_id = *ret_id * 31 + (uint8_t)name->text[i];
	return 0;
}

static inline void lab_default_policy(struct lab *lab)
{
	struct fq_filter https = {
		.ranges = 1,
		.range = {{.proto = 6, .lo = 443, .hi = 443}},
	};

	lab_client(lab, LAB_LAN, 0, "192.0.2.0/24");
	lab_client(lab, LAB_FAR, LAB_SCOPE, "198.51.100.0/24");
	lab_resource(lab, LAB_CORP, "*.corp.example", https);
	lab_resource(lab, LAB_WWW, "www.corp.example", (struct fq_filter){.allow_all = 1});
	lab_resource(lab, LAB_OTHER, "*.other.example", (struct fq_filter){.icmp = 1});
	lab_grant(lab, LAB_LAN, LAB_CORP);
	lab_grant(lab, LAB_LAN, LAB_WWW);
	lab_grant(lab, LAB_FAR, LAB_CORP);
}

static inline void lab_open(struct lab *lab, const struct gateway_settings *settings)
{
	struct gateway_settings s = settings ? *settings : gateway_settings_default();

	memset(lab, 0, sizeof(*lab));
	lab->now = (struct instant){1000 * NSEC_PER_SEC};
	if (!s.domain_id)
		s.domain_id = lab_domain_id;
	s.hash_key[0] = 1;
	assert_int_equal(gateway_new(&s, &lab->gw), 0);
	lab_default_policy(lab);
	lab_reload(lab);
	lab_clear(lab);
}

static inline int lab_setup(void **state)
{
	struct lab *lab = malloc(sizeof(*lab));

	lab_open(lab, NULL);
	*state = lab;
	return 0;
}

static inline int lab_teardown(void **state)
{
	struct lab *lab = *state;

	gateway_free(lab->gw);
	free(lab);
	return 0;
}

/* Block @nr of four proxy addresses of each family. */
static inline struct fq_addr lab_proxy(unsigned int family, unsigned int nr, unsigned int i)
{
	struct fq_addr base =
		lab_addr(family == GATEWAY_A ? "100.96.0.1" : "fd00:2021:1111:8000::");

	return ipaddr_add(&base, nr * 4 + i);
}

static inline struct control_message lab_message(uint32_t resource, const char *name,
						 unsigned int nr, uint32_t generation)
{
	struct control_message msg = {
		.event = CONTROL_ASSIGNED_IPS,
		.generation = generation,
		.domain = lab_name(name),
		.proxy_count = 8,
	};

	strcpy(msg.resource, lab_uuid[resource]);
	for (unsigned int i = 0; i < 4; i++) {
		msg.proxies[i] = lab_proxy(GATEWAY_A, nr, i);
		msg.proxies[4 + i] = lab_proxy(GATEWAY_AAAA, nr, i);
	}
	return msg;
}

static inline void lab_send(struct lab *lab, uint32_t scope, const struct control_message *msg)
{
	assert_int_equal(gateway_assigned(lab->gw, scope, msg, lab->now), 0);
	lab_drain(lab);
}

static inline void lab_assign(struct lab *lab, uint32_t scope, uint32_t resource, const char *name,
			      unsigned int nr)
{
	struct control_message msg = lab_message(resource, name, nr, 1);

	lab_send(lab, scope, &msg);
}

/* @addrs: space-separated; NULL or "" gives NODATA unless @outcome says otherwise */
static inline void lab_answer(struct lab *lab, const char *name, enum gateway_family family,
			      enum gateway_outcome outcome, const char *addrs)
{
	struct fq_addr list[64];
	char copy[2048] = "", *save = NULL;
	struct dname dname = lab_name(name);
	struct gateway_answer answer = {
		.family = family, .outcome = outcome, .addrs = list, .ttl_s = 60};

	if (addrs)
		strcpy(copy, addrs);
	for (char *t = strtok_r(copy, " ", &save); t; t = strtok_r(NULL, " ", &save))
		list[answer.count++] = lab_addr(t);
	assert_int_equal(gateway_resolved(lab->gw, &dname, &answer, lab->now), 0);
	lab_drain(lab);
}

static inline void lab_resolved(struct lab *lab, const char *name, const char *v4, const char *v6)
{
	lab_answer(lab, name, GATEWAY_A, *v4 ? GATEWAY_OK : GATEWAY_NODATA, v4);
	lab_answer(lab, name, GATEWAY_AAAA, *v6 ? GATEWAY_OK : GATEWAY_NODATA, v6);
}

/* What the map says of a proxy address; NULL: nothing. */
static inline const struct fq_xlat *lab_xlat(struct lab *lab, uint32_t scope, struct fq_addr proxy)
{
	struct fq_xlat_key key = {.scope = scope, .proxy = proxy};
	unsigned int at = LAB_FIND(lab, xlat, xlats, key);

	return at < lab->xlats ? &lab->xlat[at].value : NULL;
}

/* The real addresses of block @nr, as text: "a,b,c,d"; "-" for none, "." for no entry. */
static inline const char *lab_block(struct lab *lab, uint32_t scope, unsigned int family,
				    unsigned int nr)
{
	static char text[4 * (IPADDR_STRLEN + 1)];
	char one[IPADDR_STRLEN];

	text[0] = '\0';
	for (unsigned int i = 0; i < 4; i++) {
		const struct fq_xlat *x = lab_xlat(lab, scope, lab_proxy(family, nr, i));

		strcat(text, i ? "," : "");
		strcat(text, !x ? "." : !x->has_real ? "-" : ipaddr_format(&x->real, one));
	}
	return text;
}

static inline void lab_expect_status(const struct lab *lab, unsigned int at, uint32_t generation,
				     bool active)
{
	assert_true(at < lab->statuses);
	assert_int_equal(lab->status[at].generation, generation);
	assert_int_equal(lab->status[at].active, active);
}

#define LAB_TEST(fn) cmocka_unit_test_setup_teardown(fn, lab_setup, lab_teardown)
