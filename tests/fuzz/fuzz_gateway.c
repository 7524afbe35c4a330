/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gateway's message path: AssignedIps of two edges, raw and made from small numbers so that
 * they meet, answers of the resolver, Goodbyes, names forgotten, grants withdrawn and time that
 * passes, in any order. Whatever comes: a translation is deleted only if it was set, what the
 * gateway says it has is what it has set, proxy addresses come from the pools, and no status is
 * Active without an address.
 *
 * Input: steps of an operation, an argument and, for raw messages, a length and the bytes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/gateway.h"

#define SCOPES    2
#define NAMES     6
#define XLATS_MAX (SCOPES * 48)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const uuids[] = {
	"00000000-0000-0000-0000-00000000000a",
	"00000000-0000-0000-0000-00000000000b",
	"00000000-0000-0000-0000-00000000000c",
};
static const char *const patterns[] = {"*.corp.example", "n1.corp.example", "**.example"};

struct world {
	struct gateway *gw;
	struct instant now;
	uint32_t generation;
	struct fq_xlat_key xlat[XLATS_MAX];
	unsigned int xlats;
	struct dname looked_up;
};

static void require(int truth)
{
	if (!truth)
		abort();
}

static int domain_id(void *ctx, const struct dname *name, uint32_t *ret_id)
{
	(void)ctx;
	*ret_id = 1;
	for (unsigned int i = 0; i < name->len; i++)
		*ret_id = *ret_id * 31 + (uint8_t)name->text[i];
	return 0;
}

static struct dname name_of(unsigned int n)
{
	char text[] = "n0.corp.example";
	struct dname name;

	text[1] = (char)('0' + n % NAMES);
	require(dname_from_text(text, &name) == 0);
	return name;
}

/* @granted: bit r: both clients have resource r */
static void set_policy(struct world *w, unsigned int granted)
{
	struct policy *policy;

	require(policy_new(&policy) == 0);
	for (uint32_t c = 0; c < SCOPES; c++) {
		struct ipprefix prefix;
		const struct policy_client client = {.id = c,
						     .scope = c,
						     .name = "client",
						     .prefixes = &prefix,
						     .prefix_count = 1};

		require(ipprefix_parse(c ? "198.51.100.0/24" : "192.0.2.0/24", &prefix) == 0);
		require(policy_add_client(policy, &client) == 0);
	}
	for (uint32_t r = 0; r < 3; r++) {
		const struct policy_resource resource = {.id = 10 + r,
							 .uuid = uuids[r],
							 .name = "resource",
							 .pattern = patterns[r],
							 .filter = {.allow_all = 1}};

		require(policy_add_resource(policy, &resource) == 0);
		for (uint32_t c = 0; c < SCOPES && (granted >> r & 1); c++)
			require(policy_put_grant(policy, &(struct policy_grant){
								 c, 10 + r, INSTANT_NEVER}) == 0);
	}
	require(gateway_set_policy(w->gw, policy, w->now) == 0);
}

static unsigned int find(const struct world *w, const struct fq_xlat_key *key)
{
	unsigned int i = 0;

	while (i < w->xlats && memcmp(&w->xlat[i], key, sizeof(*key)) != 0)
		i++;
	return i;
}

static void apply(struct world *w, const struct gateway_action *a)
{
	struct gateway_records known;
	unsigned int at;

	switch (a->kind) {
	case GATEWAY_RESOLVE:
		w->looked_up = a->resolve.name;
		break;
	case GATEWAY_XLAT_SET:
		at = find(w, &a->xlat.key);
		require(a->xlat.key.scope < SCOPES && a->xlat.value.resources > 0);
		if (at == w->xlats) {
			require(w->xlats < XLATS_MAX);
			w->xlat[w->xlats++] = a->xlat.key;
		}
		break;
	case GATEWAY_XLAT_DEL:
		at = find(w, &a->xlat.key);
		require(at < w->xlats);
		w->xlat[at] = w->xlat[--w->xlats];
		break;
	case GATEWAY_STATUS:
		require(a->status.scope < SCOPES);
		if (a->status.msg.status == CONTROL_ACTIVE)
			require(gateway_find_records(w->gw, &a->status.msg.domain, &known) &&
				known.count[GATEWAY_A] + known.count[GATEWAY_AAAA] > 0);
		break;
	default:
		break;
	}
}

static void count_xlat(void *ctx, const struct gateway_xlat *xlat)
{
	unsigned int *count = ctx;

	(void)xlat;
	(*count)++;
}

static void settle(struct world *w)
{
	struct gateway_action action;
	unsigned int count = 0;

	while (gateway_next(w->gw, &action))
		apply(w, &action);
	gateway_foreach_xlat(w->gw, count_xlat, &count);
	require(count == w->xlats);
}

static void assign(struct world *w, uint8_t op, uint8_t arg)
{
	struct control_message msg = {.event = CONTROL_ASSIGNED_IPS, .domain = name_of(arg)};
	struct fq_addr v4, v6;

	require(ipaddr_parse("100.96.0.1", &v4) == 0);
	require(ipaddr_parse("fd00:2021:1111:8000::", &v6) == 0);
	strcpy(msg.resource, uuids[arg / NAMES % 3]);
	/* Now and then an earlier one, late. */
	msg.generation = op & 8 ? w->generation / 2 + 1 : ++w->generation;
	for (unsigned int i = 0; i < CONTROL_PROXIES_ONE; i++) {
		if (op & 1)
			msg.proxies[msg.proxy_count++] = ipaddr_add(&v4, arg / 18 % 4 * 4 + i);
	}
	for (unsigned int i = 0; i < CONTROL_PROXIES_ONE; i++) {
		if (op & 2 || !(op & 1))
			msg.proxies[msg.proxy_count++] = ipaddr_add(&v6, arg / 18 % 4 * 4 + i);
	}
	require(gateway_assigned(w->gw, op >> 2 & 1, &msg, w->now) == 0);
}

static void answer(struct world *w, uint8_t op, uint8_t arg)
{
	const struct dname name = op & 8 ? w->looked_up : name_of(arg);
	struct fq_addr addrs[3];
	struct gateway_answer a = {.family = op & 1,
				   .outcome = arg % 5,
				   .addrs = addrs,
				   .count = op >> 1 & 3,
				   .ttl_s = arg};

	for (unsigned int i = 0; i < 3; i++)
		require(ipaddr_parse(a.family == GATEWAY_A ? "198.51.100.10" : "2001:db8::10",
				     &addrs[i]) == 0);
	addrs[1].b[15] += arg;
	if (name.len)
		require(gateway_resolved(w->gw, &name, &a, w->now) == 0);
}

static void raw(struct world *w, uint8_t op, const uint8_t *bytes, size_t len)
{
	struct control_message msg;

	if (control_decode(bytes, len, &msg) < 0 || msg.event != CONTROL_ASSIGNED_IPS)
		return;
	require(gateway_assigned(w->gw, op & 1, &msg, w->now) == 0);
}

static void step(struct world *w, uint8_t op, uint8_t arg)
{
	const struct dname name = name_of(arg);

	switch (op >> 4) {
	case 0 ... 5:
		assign(w, op, arg);
		break;
	case 6 ... 10:
		answer(w, op, arg);
		break;
	case 11:
		w->now = instant_add(w->now, arg * NSEC_PER_SEC);
		require(gateway_tick(w->gw, w->now) == 0);
		break;
	case 12:
		require(gateway_forget(w->gw, op & 1, &name) == 0);
		break;
	case 13:
		require(gateway_scope_gone(w->gw, op & 1) == 0);
		break;
	default:
		set_policy(w, arg);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gateway_settings settings = gateway_settings_default();
	struct world w = {.now = {NSEC_PER_SEC}};

	settings.xlat_per_scope = XLATS_MAX / SCOPES;
	settings.resolutions_max = 4;
	settings.resolutions_per_scope = 3;
	settings.domain_id = domain_id;
	require(gateway_new(&settings, &w.gw) == 0);
	set_policy(&w, 7);
	settle(&w);
	for (size_t i = 0; i + 2 <= size; i += 2) {
		uint8_t op = data[i], arg = data[i + 1];

		if (op == 0xff) {
			size_t len = size - i - 2 < 4u * arg ? size - i - 2 : 4u * arg;

			raw(&w, arg, data + i + 2, len);
			i += len;
		} else {
			step(&w, op, arg);
		}
		settle(&w);
	}
	gateway_free(w.gw);
	return 0;
}
