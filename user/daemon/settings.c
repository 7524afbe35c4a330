/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration in the terms of each part: dataplane, edge, gateway. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/daemon.h"

/* ICMP errors (RFC 1812 4.3.2.8, RFC 4443 2.4 f): enough for an application that tries all its
 * addresses at once, not enough to be used as an amplifier. */
#define ICMP_PER_SECOND     20
#define ICMP_BURST          50
#define ICMP_CPU_PER_SECOND 1000
#define ICMP_CPU_BURST      1000

static int64_t seconds(unsigned int s)
{
	return s * NSEC_PER_SEC;
}

/*
 * The kernel's ephemeral ports, left to it where we use its address. If they leave none of ours,
 * we share: then only sockets that exist already are respected.
 */
static void local_ports(struct fq_settings *s)
{
	_cleanup_(fclosep) FILE *f = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned int lo, hi;

	if (!f || fscanf(f, "%u %u", &lo, &hi) != 2)
		return;
	if (lo <= s->port_lo && hi >= s->port_hi) {
		log_event(
			LOG_WARNING,
			"all NAT ports are ephemeral ports of this host: its own connections may "
			"lose packets; narrow net.ipv4.ip_local_port_range or widen gateway.ports",
			log_uint("lo", lo), log_uint("hi", hi));
		return;
	}
	s->local_lo = lo;
	s->local_hi = hi;
}

/* What a socket can be bound to is this host's, and sockets may use it beside us. */
static bool is_local(const struct fq_addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = ipaddr_to_sockaddr(addr, 0, &sa);
	_cleanup_(closep) int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0;
}

static bool any_local(const struct config_gateway *g)
{
	for (unsigned int i = 0; i < g->nat4_count; i++)
		if (is_local(&g->nat4[i]))
			return true;
	for (unsigned int i = 0; i < g->nat6_count; i++)
		if (is_local(&g->nat6[i]))
			return true;
	return false;
}

static void program_settings(const struct config *c, struct fq_settings *s)
{
	const struct config_gateway *g = &c->gateway;

	*s = (struct fq_settings){
		.pool4 = c->edge.pool4.addr,
		.pool4_mask = ipprefix_mask(c->edge.pool4.len),
		.pool6 = c->edge.pool6.addr,
		.pool6_mask = ipprefix_mask(c->edge.pool6.len),
		.masquerade = g->masquerade,
		.nat4_count = g->nat4_count,
		.nat6_count = g->nat6_count,
		.show_hops = g->show_hops,
		.port_lo = g->port_lo,
		.port_hi = g->port_hi,
		.icmp_per_second = ICMP_PER_SECOND,
		.icmp_burst = ICMP_BURST,
		.icmp_cpu_per_second = ICMP_CPU_PER_SECOND,
		.icmp_cpu_burst = ICMP_CPU_BURST,
		.source_check = c->source_check,
		.mss_clamp = c->mss_clamp,
		.tombstone_ns = seconds(g->timeouts.tombstone_s),
	};
	memcpy(s->nat4, g->nat4, sizeof(s->nat4));
	memcpy(s->nat6, g->nat6, sizeof(s->nat6));
	s->given_local = g->masquerade == FQ_MASQ_GIVEN && any_local(g);
	if (g->masquerade == FQ_MASQ_AUTO || s->given_local)
		local_ports(s);
}

/* One seed as long as the daemon runs: a client keeps its ports over a reload. Without entropy a
 * fixed one: ports are then easier to guess, nothing else. */
static uint32_t hash_seed(const struct daemon *d)
{
	uint32_t seed = d->program.hash_seed;

	if (!seed && getrandom(&seed, sizeof(seed), 0) < 0)
		seed = 0x9e3779b9;
	return seed ? seed : 1;
}

/* Translations of all scopes together. Edges may come with a reload, hence some for those. */
#define TRANSLATIONS_MIN (1U << 20)

static uint32_t translations_max(const struct config *c)
{
	const struct config_gateway *g = &c->gateway;
	uint64_t sum = (uint64_t)g->per_edge.translations * g->edge_count;

	if (c->has_gateway && !g->has_listen)
		return c->limits.domains * PROXIES_MAX;
	if (sum < TRANSLATIONS_MIN)
		return TRANSLATIONS_MIN;
	return sum < CONFIG_TRANSLATIONS_MAX ? sum : CONFIG_TRANSLATIONS_MAX;
}

void settings_dataplane(const struct daemon *d, const struct config *c, struct dp_settings *ret_s)
{
	const struct config_gateway *g = &c->gateway;

	*ret_s = (struct dp_settings){
		.bpffs = c->bpffs,
		.sessions_max = g->sessions.max,
		.domains_max = c->limits.domains,
		.translations_max = translations_max(c),
		.dispatcher = d->options.dispatcher,
		.clsact = d->options.clsact,
		.expiry =
			{
				.tcp_opening_ns = seconds(g->timeouts.tcp_opening_s),
				.tcp_established_ns = seconds(g->timeouts.tcp_established_s),
				.tcp_closing_ns = seconds(g->timeouts.tcp_closing_s),
				.tcp_reset_ns = seconds(g->timeouts.tcp_reset_s),
				.udp_ns = seconds(g->timeouts.udp_s),
				.icmp_ns = seconds(g->timeouts.icmp_s),
				.unconfirmed_ns = seconds(g->timeouts.unconfirmed_s),
			},
	};
	program_settings(c, &ret_s->program);
	ret_s->program.hash_seed = hash_seed(d);
	ret_s->program.tick_ns = clock_tick_ns();
}

static void warn(void *ctx, const char *text)
{
	(void)ctx;
	log_event(LOG_WARNING, "configuration", log_str("warning", text));
}

void settings_warn(const struct config *c)
{
	config_warnings(c, warn, NULL);
}

#define MARK_NAMES "next_name"

/* A name that an edge elsewhere asks for: its number outlives us, with the sessions that bear it.
 */
static int far_domain_id(struct daemon *d, const struct dname *name, uint32_t *ret_id)
{
	struct store_remote row;
	int r = names_id(d->names, name, ret_id);

	if (r <= 0)
		return r;
	row.id = *ret_id;
	memcpy(row.name, name->text, name->len + 1);
	(void)store_put_remote(d->store, &row);
	(void)store_put_meta(d->store, MARK_NAMES, names_mark(d->names));
	return 0;
}

/*
 * A domain's id is the edge's; the edge in this process knows it before the gateway hears of it.
 */
static int domain_id(void *ctx, const struct dname *name, uint32_t *ret_id)
{
	struct edge_domain_view view;
	struct daemon *d = ctx;

	if (d->config->gateway.has_listen)
		return far_domain_id(d, name, ret_id);
	if (!edge_find_name(d->edge, name, &view))
		return -ENOENT;
	*ret_id = view.id;
	return 0;
}

int names_start(struct daemon *d)
{
	uint8_t key[DNAME_KEY_LEN];
	uint64_t mark;
	int r;

	if (getrandom(key, sizeof(key), 0) < 0)
		return -errno;
	r = names_new(key, translations_max(d->config) / PROXIES_V4, &d->names);
	if (r < 0)
		return r;
	if (store_get_meta(d->store, MARK_NAMES, &mark) == 0)
		names_restore_mark(d->names, (uint32_t)mark);
	return 0;
}

int settings_gateway(struct daemon *d, struct gateway_settings *ret_s)
{
	struct gateway_settings s = gateway_settings_default();

	if (getrandom(s.hash_key, sizeof(s.hash_key), 0) < 0)
		return -errno;
	s.pool4 = d->config->edge.pool4;
	s.pool6 = d->config->edge.pool6;
	s.resolutions_max = d->config->limits.resolutions;
	s.resolutions_per_scope = d->config->limits.resolutions;
	s.xlat_per_scope = d->config->limits.domains * PROXIES_MAX;
	if (d->config->gateway.has_listen) {
		s.resolutions_per_scope = d->config->gateway.per_edge.resolutions;
		s.xlat_per_scope = d->config->gateway.per_edge.translations;
	}
	/* What the transport lets through is acted on. */
	s.assigned_per_s = d->config->control.rate;
	s.assigned_burst = 2 * d->config->control.rate;
	s.xlats_planned = translations_max(d->config);
	s.domain_id = domain_id;
	s.ctx = d;
	*ret_s = s;
	return 0;
}

/* The domains that have sessions, looked up anew when the last look is older than this. */
#define USED_MAX_AGE_NS (10 * NSEC_PER_SEC)

static bool domain_in_use(void *ctx, uint32_t domain)
{
	struct daemon *d = ctx;

	if (!d->used || instant_sub(instant_now(), d->used_at) > USED_MAX_AGE_NS)
		used_domains_refresh(d);
	/* Not knowing means not giving up. */
	return !d->used || used_domains_contain(d, domain);
}

static int64_t longest_timeout(const struct config_gateway *g)
{
	unsigned int s = g->timeouts.tcp_established_s;

	s = g->timeouts.udp_s > s ? g->timeouts.udp_s : s;
	s = g->timeouts.icmp_s > s ? g->timeouts.icmp_s : s;
	return seconds(s);
}

int settings_edge(struct daemon *d, struct edge_settings *ret_s)
{
	const struct config *c = d->config;
	uint64_t mark;
	int r;

	/* Without a mark the wall clock has to do: later than whatever a lost store has used. */
	r = store_get_meta(d->store, META_GENERATION, &mark);
	if (r < 0 && r != -ENOENT)
		return r;
	d->generation_mark = r == 0 ? (uint32_t)mark : (uint32_t)time(NULL);
	*ret_s = (struct edge_settings){
		.pool =
			{
				.v4 = c->edge.pool4,
				.v6 = c->edge.pool6,
				.quarantine_ns = longest_timeout(&c->gateway),
			},
		.domains_max = c->limits.domains,
		.held_bytes_max = c->limits.held_bytes,
		.held_max_ns = EDGE_HELD_MAX_NS,
		.generation = d->generation_mark,
		.in_use = domain_in_use,
		.ctx = d,
	};
	if (getrandom(ret_s->hash_key, sizeof(ret_s->hash_key), 0) < 0)
		return -errno;
	return 0;
}
