/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gateway that is asked for 1000, 100000, 1000000 names of an edge elsewhere: time of one message
 * or answer of the resolver with all that follows from it, on the average and at worst. No table
 * may make one message wait while it grows. Called by domains.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/gateway.h"
#include "core/names.h"
#include "domains.h"

#define SCOPE    1
#define CLIENT   1
#define RESOURCE 1
#define UUID     "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10"
#define PAUSE_NS (10 * NSEC_PER_MSEC) /* between messages, within the gateway's rate */

struct site {
	struct gateway *gw;
	struct names *names;
	struct instant now;
	double sum_ns, worst_ns;
	uint64_t inputs;
};

static int id_of(void *ctx, const struct dname *name, uint32_t *ret_id)
{
	struct site *site = ctx;
	int r = names_id(site->names, name, ret_id);

	return r < 0 ? r : 0;
}

static int make_policy(struct policy **ret_policy)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	struct ipprefix prefix;
	const struct policy_client client = {.id = CLIENT,
					     .scope = SCOPE,
					     .name = "far",
					     .prefixes = &prefix,
					     .prefix_count = 1};
	const struct policy_resource resource = {.id = RESOURCE,
						 .uuid = UUID,
						 .name = "corp",
						 .pattern = "**.corp.example",
						 .filter.allow_all = 1};
	const struct policy_grant grant = {
		.client = CLIENT, .resource = RESOURCE, .expires = INSTANT_NEVER};
	int r;

	(void)ipprefix_parse("192.0.2.0/24", &prefix);
	r = policy_new(&policy);
	if (r == 0)
		r = policy_add_client(policy, &client);
	if (r == 0)
		r = policy_add_resource(policy, &resource);
	if (r == 0)
		r = policy_put_grant(policy, &grant);
	if (r == 0)
		*ret_policy = TAKE_PTR(policy);
	return r;
}

/* What begins at @begin has ended with all its actions. */
static void input_done(struct site *site, double begin)
{
	struct gateway_action action;
	double ns;

	while (gateway_next(site->gw, &action))
		;
	ns = domains_cpu_ns() - begin;
	site->sum_ns += ns;
	site->worst_ns = ns > site->worst_ns ? ns : site->worst_ns;
	site->inputs++;
}

static void proxies_of(uint32_t number, struct control_message *msg)
{
	for (uint32_t i = 0; i < CONTROL_PROXIES_ONE; i++) {
		struct fq_addr *v4 = &msg->proxies[i];
		struct fq_addr *v6 = &msg->proxies[CONTROL_PROXIES_ONE + i];

		(void)ipaddr_parse("10.0.0.0", v4);
		(void)ipaddr_parse("fd00:2021:1111:8000::", v6);
		v4->w[3] |= htonl(number * CONTROL_PROXIES_ONE + i);
		v6->w[3] |= htonl(number * CONTROL_PROXIES_ONE + i);
	}
	msg->proxy_count = 2 * CONTROL_PROXIES_ONE;
}

static int ask(struct site *site, uint32_t number)
{
	static const char *const real[] = {"198.51.100.1", "2001:db8::1"};
	struct control_message msg = {
		.event = CONTROL_ASSIGNED_IPS, .generation = 1, .resource = UUID};
	double begin;
	int r;

	domains_name_of(number, &msg.domain);
	proxies_of(number, &msg);
	site->now = instant_add(site->now, PAUSE_NS);
	begin = domains_cpu_ns();
	r = gateway_assigned(site->gw, SCOPE, &msg, site->now);
	input_done(site, begin);
	for (enum gateway_family f = 0; f < GATEWAY_FAMILIES && r >= 0; f++) {
		struct fq_addr addr;
		const struct gateway_answer answer = {.family = f,
						      .outcome = GATEWAY_OK,
						      .addrs = &addr,
						      .count = 1,
						      .ttl_s = 300};

		(void)ipaddr_parse(real[f], &addr);
		begin = domains_cpu_ns();
		r = gateway_resolved(site->gw, &msg.domain, &answer, site->now);
		input_done(site, begin);
	}
	return r;
}

int domains_gateway(struct subject *s)
{
	struct gateway_settings settings = gateway_settings_default();
	struct site site = {.now = {1000 * NSEC_PER_SEC}};
	struct gateway_action action;
	struct policy *policy = NULL;
	int r;

	(void)ipprefix_parse("10.0.0.0/8", &settings.pool4);
	(void)ipprefix_parse("fd00:2021:1111:8000::/104", &settings.pool6);
	settings.xlat_per_scope = 2 * CONTROL_PROXIES_ONE * s->domains;
	settings.domain_id = id_of;
	settings.ctx = &site;
	r = names_new(settings.hash_key, s->domains, &site.names);
	if (r == 0)
		r = gateway_new(&settings, &site.gw);
	if (r == 0)
		r = make_policy(&policy);
	if (r == 0)
		r = gateway_set_policy(site.gw, policy, site.now);
	while (r == 0 && gateway_next(site.gw, &action))
		;
	for (uint32_t i = 0; i < s->domains && r >= 0; i++)
		r = ask(&site, i);
	/* Two families of each name. */
	if (r >= 0 && gateway_usage(site.gw).xlats != 2 * CONTROL_PROXIES_ONE * s->domains)
		r = -EPROTO;
	s->site_ns = site.sum_ns / (double)site.inputs;
	s->site_worst_ms = site.worst_ns / 1e6;
	gateway_free(site.gw);
	names_free(site.names);
	return r < 0 ? r : 0;
}
