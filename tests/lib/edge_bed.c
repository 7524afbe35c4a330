/* SPDX-License-Identifier: BSD-2-Clause */
/* A test bed for the edge, see edge_bed.h. */
#include "edge_bed.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ETH_LEN 14

static bool in_use(void *ctx, uint32_t domain)
{
	const struct bed *bed = ctx;

	(void)domain;
	return bed->in_use;
}

static struct ipprefix prefix(const char *text)
{
	struct ipprefix p;

	assert(ipprefix_parse(text, &p) == 0);
	return p;
}

struct edge_settings bed_settings(void)
{
	return (struct edge_settings){
		.pool =
			{
				.v4 = prefix(POOL_V4_DEFAULT),
				.v6 = prefix(POOL_V6_DEFAULT),
				.quarantine_ns = 1000 * NSEC_PER_SEC,
			},
		.domains_max = 10000,
		.held_bytes_max = 1 << 20,
		.held_max_ns = EDGE_HELD_MAX_NS,
	};
}

void bed_open(struct bed *bed, const struct edge_settings *settings)
{
	struct edge_settings s = settings ? *settings : bed_settings();

	*bed = (struct bed){.now = {1000 * NSEC_PER_SEC}};
	s.in_use = in_use;
	s.ctx = bed;
	assert(edge_new(&s, &bed->edge) == 0);
}

void bed_close(struct bed *bed)
{
	bed->edge = edge_free(bed->edge);
}

struct dname bed_name(const char *text)
{
	struct dname n;

	assert(dname_from_text(text, &n) == 0);
	return n;
}

static struct fq_addr proxy_of(const struct bed *bed, const char *name, unsigned int i)
{
	struct dname n = bed_name(name);
	struct edge_domain_view v;

	if (!edge_find_name(bed->edge, &n, &v))
		return (struct fq_addr){0};
	return v.proxies->addr[i];
}

struct fq_addr bed_proxy(const struct bed *bed, const char *name)
{
	return proxy_of(bed, name, 0);
}

enum edge_state bed_state(const struct bed *bed, const char *name, char resource)
{
	struct dname n = bed_name(name);
	struct edge_domain_view v;

	if (!edge_find_name(bed->edge, &n, &v))
		return EDGE_NONE;
	for (unsigned int i = 0; i < v.entry_count; i++)
		if (v.entries[i].resource == (uint32_t)(resource - 'A' + 1))
			return v.entries[i].state;
	return EDGE_NONE;
}

struct edge_resource bed_resource(char letter, const char *pattern, enum ip_stack stack,
				  uint32_t gateway, uint32_t other)
{
	struct edge_resource r = {
		.id = (uint32_t)(letter - 'A' + 1),
		.name = pattern,
		.pattern = pattern,
		.ip_stack = stack,
		.gateways = {gateway, other},
		.gateway_count = (gateway != 0) + (other != 0),
	};

	snprintf(r.uuid, sizeof(r.uuid), "00000000-0000-4000-8000-%012x", r.id);
	return r;
}

/* ---- actions as words ---- */

static void __attribute__((format(printf, 2, 3))) say(struct bed *bed, const char *format, ...)
{
	size_t len = strlen(bed->text);
	va_list args;

	if (len)
		len += (size_t)snprintf(bed->text + len, sizeof(bed->text) - len, "; ");
	assert(len < sizeof(bed->text));
	va_start(args, format);
	vsnprintf(bed->text + len, sizeof(bed->text) - len, format, args);
	va_end(args);
}

static char letter(uint32_t resource)
{
	return (char)('A' + resource - 1);
}

static struct bed_sent *sent_of(struct bed *bed, const char *name, char resource, uint32_t gateway)
{
	struct bed_sent *s;

	for (unsigned int i = 0; i < bed->sent_count; i++) {
		s = &bed->sent[i];
		if (s->resource == resource && s->gateway == gateway && strcmp(s->name, name) == 0)
			return s;
	}
	assert(bed->sent_count < BED_SENT_MAX);
	s = &bed->sent[bed->sent_count++];
	*s = (struct bed_sent){.resource = resource, .gateway = gateway, .at_ms = INT64_MIN / 2};
	snprintf(s->name, sizeof(s->name), "%s", name);
	return s;
}

static void say_send(struct bed *bed, const struct edge_action *a)
{
	struct bed_sent *s = sent_of(bed, a->name->text, letter(a->send.resource), a->send.gateway);
	unsigned int v4 = 0;
	char again[24] = "";

	s->generation = a->send.generation;
	s->at_ms = bed->now.ns / NSEC_PER_MSEC;
	for (unsigned int i = 0; i < a->proxies.count; i++)
		v4 += ipaddr_is_v4(&a->proxies.addr[i]);
	if (a->send.resends)
		snprintf(again, sizeof(again), " again %u", a->send.resends);
	say(bed, "send %c@%u #%u %u+%u%s", letter(a->send.resource), a->send.gateway,
	    a->send.generation, v4, a->proxies.count - v4, again);
}

static void say_verdict(struct bed *bed, const struct edge_action *a)
{
	static const char *const words[] = {"forward", "hold", "refuse"};
	char gateway[16] = "", touch[32] = "";
	const char *family = "";

	if (a->verdict.gateway)
		snprintf(gateway, sizeof(gateway), " @%u", a->verdict.gateway);
	if (a->verdict.touch_at.ns != INSTANT_NEVER.ns)
		snprintf(touch, sizeof(touch), " touch %lld",
			 (long long)(instant_sub(a->verdict.touch_at, bed->now) / NSEC_PER_MSEC));
	if (a->proxies.count < PROXIES_MAX)
		family = ipaddr_is_v4(&a->proxies.addr[0]) ? "/4" : "/6";
	say(bed, "%s%s %s%s%s", a->name->text, family, words[a->verdict.verdict], gateway, touch);
}

/* The number that a packet carries: the last two bytes of UDP, the end of TCP's sequence number. */
static unsigned int number_of(const struct held_frame *f)
{
	const uint8_t *l4 = f->bytes + f->l3_offset + sizeof(struct iphdr);
	const uint8_t *at = f->bytes[f->l3_offset + 9] == IPPROTO_TCP ? l4 + 6 : l4 + 8;

	return (unsigned int)(at[0] << 8 | at[1]);
}

static void say_release(struct bed *bed, const struct edge_action *a)
{
	char numbers[HELD_PACKETS_MAX * 6 + 1] = "";
	unsigned int n = 0;

	for (const struct held_frame *f = a->frames.first; f; f = f->next, n++)
		snprintf(numbers + strlen(numbers), sizeof(numbers) - strlen(numbers), " %u",
			 number_of(f));
	assert(n == a->frames.count);
	held_frames_free(a->frames.first);
	say(bed, "release %s%s", a->name->text, numbers);
}

static void say_action(struct bed *bed, const struct edge_action *a)
{
	static const char *const events[] = {"full", "duplicate", "dropped", "limit"};

	switch (a->kind) {
	case EDGE_SEND_ASSIGNED:
		say_send(bed, a);
		break;
	case EDGE_SET_VERDICT:
		say_verdict(bed, a);
		break;
	case EDGE_DEL_VERDICT:
		say(bed, "del %s", a->name->text);
		break;
	case EDGE_RELEASE:
		say_release(bed, a);
		break;
	case EDGE_HELD_EVENT:
		held_frames_free(a->held.refused);
		say(bed, "%s %s %u", events[a->held.event], a->name->text, a->held.count);
		break;
	case EDGE_STATE_CHANGED:
		say(bed, "%c@%u %s>%s", letter(a->state.resource), a->state.gateway,
		    edge_state_name(a->state.from), edge_state_name(a->state.to));
		break;
	case EDGE_DOMAIN_SET:
		say(bed, "%s %s", a->domain_set.is_new ? "new" : "changed", a->name->text);
		break;
	case EDGE_DOMAIN_GONE:
		say(bed, "forgotten %s", a->name->text);
		break;
	case EDGE_RESOURCE_IGNORED:
		say(bed, "ignored %c", letter(a->resource_ignored.resource));
		break;
	case EDGE_GATEWAY_WANTED:
		if (bed->say_wanted)
			say(bed, "want %u", a->wanted.gateway);
		break;
	}
}

static const char *drain(struct bed *bed, int r)
{
	struct edge_action a;

	while (edge_next(bed->edge, &a)) {
		if (bed->on_action)
			bed->on_action(bed, &a, bed->ctx);
		say_action(bed, &a);
	}
	if (r < 0)
		say(bed, "error %s", strerrorname_np(-r));
	return bed->text;
}

const char *bed_resources(struct bed *bed, const struct edge_resource *list, size_t count)
{
	bed->text[0] = '\0';
	return drain(bed, edge_set_resources(bed->edge, list, count, bed->now));
}

/* ---- inputs ---- */

static uint16_t start_ip(uint8_t *buf, const struct fq_addr *to, uint8_t proto, uint16_t l4_len)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tot_len = htons((uint16_t)(sizeof(ip) + l4_len)),
		.ttl = 64,
		.protocol = proto,
		.saddr = htonl(0xc0000202),
	};

	memset(buf, 0, BED_FRAME_MAX);
	buf[12] = 0x08;
	memcpy(&ip.daddr, to->b + 12, 4);
	memcpy(buf + ETH_LEN, &ip, sizeof(ip));
	return (uint16_t)(ETH_LEN + sizeof(ip) + l4_len);
}

uint16_t bed_udp_frame(uint8_t buf[BED_FRAME_MAX], const struct fq_addr *to, uint16_t number)
{
	struct udphdr udp = {.source = htons(40000), .dest = htons(53), .len = htons(10)};
	uint16_t len = start_ip(buf, to, IPPROTO_UDP, 10), n = htons(number);

	memcpy(buf + len - 10, &udp, sizeof(udp));
	memcpy(buf + len - 2, &n, sizeof(n));
	return len;
}

uint16_t bed_syn_frame(uint8_t buf[BED_FRAME_MAX], const struct fq_addr *to, uint16_t number,
		       uint32_t stamp)
{
	struct tcphdr tcp = {
		.source = htons(40001),
		.dest = htons(443),
		.seq = htonl(number),
		.doff = 8,
		.syn = 1,
	};
	uint8_t option[12] = {1, 1, 8, 10};
	uint16_t len = start_ip(buf, to, IPPROTO_TCP, 32);

	stamp = htonl(stamp);
	memcpy(option + 4, &stamp, 4);
	memcpy(buf + len - 32, &tcp, sizeof(tcp));
	memcpy(buf + len - 12, option, sizeof(option));
	return len;
}

/* @at: which address of the domain. */
static int do_packet(struct bed *bed, const char *name, unsigned int at, uint16_t number,
		     const uint32_t *stamp)
{
	uint8_t buf[BED_FRAME_MAX];
	struct fq_addr proxy = proxy_of(bed, name, at);
	struct held_offer offer = {.bytes = buf, .l3_offset = ETH_LEN, .ifindex = 7};

	offer.len = stamp ? bed_syn_frame(buf, &proxy, number, *stamp)
			  : bed_udp_frame(buf, &proxy, number);
	return edge_packet(bed->edge, &proxy, &offer, bed->now);
}

static int do_status(struct bed *bed, const char *args, bool active)
{
	char name[64], uuid[UUID_STRLEN], resource;
	unsigned int gateway, generation;
	enum edge_status_outcome outcome;
	struct dname n;
	int fields, r;

	fields = sscanf(args, "%63s %c@%u #%u", name, &resource, &gateway, &generation);
	assert(fields >= 3);
	if (fields == 3)
		generation = sent_of(bed, name, resource, gateway)->generation;
	snprintf(uuid, sizeof(uuid), "00000000-0000-4000-8000-%012X", resource - 'A' + 1);
	n = bed_name(name);
	r = edge_status(bed->edge,
			&(struct edge_status){
				.gateway = gateway,
				.generation = generation,
				.uuid = uuid,
				.domain = &n,
				.active = active,
			},
			bed->now, &outcome);
	if (r == 0 && outcome != EDGE_STATUS_APPLIED)
		say(bed, outcome == EDGE_STATUS_STALE ? "stale" : "unknown");
	return r;
}

static int do_name(struct bed *bed, const char *verb, const char *name)
{
	struct dname n = bed_name(name);
	struct edge_domain_view v;
	struct edge_answer answer;

	if (strcmp(verb, "query") == 0) {
		int r = edge_query(bed->edge, &n, bed->now, &answer);

		if (r == 0 && !answer.matched)
			say(bed, "no match");
		return r;
	}
	if (strcmp(verb, "requery") == 0)
		return edge_requery(bed->edge, &n, bed->now);
	if (strcmp(verb, "refresh") == 0)
		return edge_refresh(bed->edge, &n, bed->now);
	if (strcmp(verb, "forget") == 0)
		return edge_forget(bed->edge, &n, bed->now);
	if (strcmp(verb, "touch") == 0 && edge_find_name(bed->edge, &n, &v))
		return edge_touch(bed->edge, v.id, bed->now);
	return -EINVAL;
}

static int do_input(struct bed *bed, const char *input)
{
	char verb[16], name[64] = "";
	unsigned int number = 0, stamp = 0;
	int at = 0, fields;

	fields = sscanf(input, "%15s %n%63s %u %u", verb, &at, name, &number, &stamp);
	assert(fields >= 1);
	if (strcmp(verb, "tick") == 0)
		return edge_tick(bed->edge, bed->now);
	if (strcmp(verb, "up") == 0)
		return edge_gateway_up(bed->edge, (uint32_t)atoi(name), bed->now);
	if (strcmp(verb, "lost") == 0)
		return edge_gateway_lost(bed->edge, (uint32_t)atoi(name), bed->now);
	if (strcmp(verb, "gone") == 0)
		return edge_gateway_gone(bed->edge, (uint32_t)atoi(name), bed->now);
	if (strcmp(verb, "packet") == 0)
		return do_packet(bed, name, 0, (uint16_t)number, NULL);
	if (strcmp(verb, "packet6") == 0)
		return do_packet(bed, name, PROXIES_V4, (uint16_t)number, NULL);
	if (strcmp(verb, "syn") == 0)
		return do_packet(bed, name, 0, (uint16_t)number, &stamp);
	if (strcmp(verb, "active") == 0 || strcmp(verb, "inactive") == 0)
		return do_status(bed, input + at, verb[0] == 'a');
	return do_name(bed, verb, name);
}

const char *bed_do(struct bed *bed, int64_t ms, const char *input)
{
	bed->text[0] = '\0';
	bed->now.ns = 1000 * NSEC_PER_SEC + ms * NSEC_PER_MSEC;
	return drain(bed, do_input(bed, input));
}
