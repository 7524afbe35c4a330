/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge under random inputs in virtual time, against what must always hold. What is
 * expected is derived from inputs and actions only, not from the edge's own bookkeeping.
 *
 * usage: test_edge_random [SEED]	replays one run
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/edge_bed.h"

#define RUNS          2500
#define STEPS         160
#define NAMES         18
#define RESOURCES     4
#define GATEWAYS      3 /* 1..3 */
#define QUARANTINE_MS 600000

/* What actions have told about an entry. */
struct entry_model {
	enum edge_state state;
	uint32_t gateway, request, newest, taken;
	int64_t sent_ms;
	int64_t wait_ms; /* what is to be sent now may follow after so much */
	bool sent;
};

struct domain_model {
	bool known;
	struct entry_model entry[RESOURCES];
	bool has_verdict[2]; /* by family: IPv4, IPv6 */
	bool passed;         /* packets were to be forwarded */
	enum fq_edge_verdict verdict[2];
	unsigned int last_number; /* of the packet offered last */
	bool last_is_syn;
};

struct model {
	uint64_t seed;
	uint64_t random;
	char input[64];      /* of this step */
	int name;            /* it is about; -1: none */
	bool may_ask_failed; /* it is a query for that name */
	bool operator;       /* and need not wait */
	struct domain_model domain[NAMES];
	bool up[GATEWAYS + 1], lost[GATEWAYS + 1];
	bool proven[GATEWAYS + 1];        /* it has confirmed something since it came or went */
	unsigned int burst;               /* AssignedIps at once, and one a second; 0: any number */
	unsigned int sends[GATEWAYS + 1]; /* so far */
	uint32_t serves[RESOURCES][2];    /* gateways, in order; 0: none */
	enum ip_stack stack[RESOURCES];
	bool about_gateway;       /* the input is up, lost or gone */
	unsigned int held[NAMES]; /* before the input */
	struct domain_model before[NAMES];
	unsigned int offered, gone; /* packets */
	struct {
		struct fq_addr addr;
		int64_t until_ms;
	} resting[256];
	unsigned int resting_count;
	unsigned int number;
};

static struct bed bed;
static struct model m;

static void fail_run(const char *what)
{
	print_error("seed %llu, input \"%s\": %s\nactions: %s\n", (unsigned long long)m.seed,
		    m.input, what, bed.text);
	fail();
}

#define MUST(condition)                       \
	do {                                  \
		if (!(condition))             \
			fail_run(#condition); \
	} while (0)

/* xorshift64* */
static uint32_t pick(uint32_t n)
{
	m.random ^= m.random >> 12;
	m.random ^= m.random << 25;
	m.random ^= m.random >> 27;
	return (uint32_t)((m.random * 0x2545f4914f6cdd1dULL) >> 33) % n;
}

static const char *name_of(unsigned int i)
{
	static char text[16];

	if (i == 0)
		return "b.x";
	snprintf(text, sizeof(text), i % 3 ? "n%u.x" : "n%u.c", i);
	return text;
}

static int index_of(const char *name)
{
	unsigned int i;

	if (strcmp(name, "b.x") == 0)
		return 0;
	return sscanf(name, "n%u.", &i) == 1 ? (int)i : -1;
}

static int64_t now_ms(void)
{
	return bed.now.ns / NSEC_PER_MSEC;
}

/* The gateway that a resource is to be asked for at. 0: none. */
static uint32_t first_up(uint32_t resource)
{
	for (unsigned int i = 0; i < 2; i++)
		if (m.up[m.serves[resource - 1][i]])
			return m.serves[resource - 1][i];
	return 0;
}

/* C-28: whether all gateways before this one that are up have confirmed nothing. */
static bool may_be_passed_on(uint32_t resource, uint32_t gateway)
{
	const uint32_t *serves = m.serves[resource - 1];

	return serves[1] == gateway && !m.proven[serves[0]];
}

/* C-09, C-10, C-18, C-20, C-21, C-24: when an entry may be asked for, and where. */
static void check_ask(const struct edge_action *a, struct entry_model *e, int name)
{
	const struct entry_model *before = &m.before[name].entry[a->state.resource - 1];
	/* Not if it has vanished with its gateway: then it is a new one. */
	bool was_failed = before->state == EDGE_FAILED && e->sent,
	     own = m.may_ask_failed && m.name == name;

	MUST(m.up[a->state.gateway]);
	MUST(a->state.gateway == first_up(a->state.resource) || (e->request && !own) ||
	     may_be_passed_on(a->state.resource, a->state.gateway));
	MUST(!m.about_gateway || m.held[name]);
	MUST(!was_failed || own);
	e->wait_ms = was_failed ? 100 : 2000;
	if (own && m.operator)
		e->wait_ms = 0;
	e->gateway = a->state.gateway;
	e->request = e->newest + 1; /* at least: what was said before is of no use any more */
	e->taken = 0;
}

/* C-07, C-21, C-26: AssignedIps goes out, when it was decided to or when its turn came. */
static void check_send(const struct edge_action *a, struct domain_model *d, int name)
{
	struct entry_model *e = &d->entry[a->send.resource - 1];

	MUST(m.up[a->send.gateway]);
	MUST(!m.about_gateway || m.held[name]);
	MUST(a->send.generation != 0);
	MUST(!e->newest || a->send.generation > e->newest);
	MUST(e->state == EDGE_PENDING && (a->send.resends == 0) == (e->wait_ms >= 0));
	if (e->sent)
		MUST(now_ms() - e->sent_ms >= (e->wait_ms < 0 ? 2000 : e->wait_ms));
	if (a->send.resends == 0)
		e->request = a->send.generation;
	e->wait_ms = -1;
	e->newest = a->send.generation;
	e->sent_ms = now_ms();
	e->sent = true;
	m.sends[a->send.gateway]++;
}

static unsigned int family_of(const struct held_frame *f)
{
	return f->bytes[f->l3_offset + 16] == 100 ? 0 : 1; /* the pools begin so */
}

/* C-02: released in order, each once, and none whose family is still held. */
static void check_release(const struct edge_action *a, const struct domain_model *d)
{
	int last = -1;

	for (const struct held_frame *f = a->frames.first; f; f = f->next) {
		const uint8_t *l4 = f->bytes + f->l3_offset + 20;
		bool tcp = f->bytes[f->l3_offset + 9] == 6;
		int number = tcp ? l4[6] << 8 | l4[7] : l4[8] << 8 | l4[9];

		MUST(number > last);
		MUST(d->verdict[family_of(f)] != FQ_EDGE_HOLD);
		last = number;
		m.gone++;
	}
}

/* P-10: an address is not reused before its quarantine, or what is enough for one unused, is over.
 */
static void note_gone(const struct edge_action *a, bool passed)
{
	bool forgotten = strncmp(m.input, "forget", 6) == 0;
	int64_t rest_ms = passed || forgotten ? QUARANTINE_MS : POOL_REST_SHORT_NS / NSEC_PER_MSEC;

	for (unsigned int i = 0; i < a->proxies.count; i++) {
		unsigned int at = m.resting_count++ % 256;

		m.resting[at].addr = a->proxies.addr[i];
		m.resting[at].until_ms = now_ms() + rest_ms;
	}
}

static void check_new(const struct edge_action *a)
{
	MUST(a->proxies.count == PROXIES_MAX);
	for (unsigned int i = 0; i < a->proxies.count; i++)
		for (unsigned int j = 0; j < 256 && j < m.resting_count; j++)
			if (ipaddr_equal(&a->proxies.addr[i], &m.resting[j].addr))
				MUST(now_ms() >= m.resting[j].until_ms);
}

/* Whole families only. */
static void note_verdict(const struct edge_action *a, struct domain_model *d)
{
	unsigned int count[2] = {0};

	for (unsigned int i = 0; i < a->proxies.count; i++)
		count[!ipaddr_is_v4(&a->proxies.addr[i])]++;
	MUST(a->proxies.count && (!count[0] || count[0] == PROXIES_V4) &&
	     (!count[1] || count[1] == PROXIES_V6));
	for (unsigned int family = 0; family < 2; family++) {
		if (!count[family])
			continue;
		d->has_verdict[family] = true;
		d->verdict[family] = a->verdict.verdict;
		d->passed = d->passed || a->verdict.verdict == FQ_EDGE_FORWARD;
	}
}

static void on_action(struct bed *b, const struct edge_action *a, void *ctx)
{
	int name = a->name ? index_of(a->name->text) : 0;
	struct domain_model *d = &m.domain[name];
	struct entry_model *e;

	(void)b;
	(void)ctx;
	switch (a->kind) {
	case EDGE_SEND_ASSIGNED:
		check_send(a, d, name);
		break;
	case EDGE_SET_VERDICT:
		note_verdict(a, d);
		break;
	case EDGE_RELEASE:
		check_release(a, d);
		break;
	case EDGE_HELD_EVENT:
		m.gone += a->held.count;
		for (const struct held_frame *f = a->held.refused; f; f = f->next)
			MUST(d->verdict[family_of(f)] == FQ_EDGE_REFUSE);
		break;
	case EDGE_STATE_CHANGED:
		e = &d->entry[a->state.resource - 1];
		MUST(e->state == a->state.from && a->state.from != a->state.to);
		e->state = a->state.to;
		if (a->state.to == EDGE_PENDING)
			check_ask(a, e, name);
		if (a->state.to == EDGE_NONE)
			*e = (struct entry_model){0};
		break;
	case EDGE_DOMAIN_SET:
		MUST(a->domain_set.is_new != d->known);
		if (a->domain_set.is_new)
			check_new(a);
		d->known = true;
		break;
	case EDGE_DOMAIN_GONE:
		note_gone(a, d->passed);
		*d = (struct domain_model){0};
		break;
	case EDGE_GATEWAY_WANTED:
		MUST(!m.up[a->wanted.gateway]);
		break;
	case EDGE_DEL_VERDICT:
	case EDGE_RESOURCE_IGNORED:
		break;
	}
}

/* ---- after every step ---- */

struct sums {
	unsigned int domains, entries, open, held;
	struct edge_gateway_view gateway[GATEWAYS + 1];
};

static void count_entry(const struct edge_entry_view *e, struct edge_gateway_view *v)
{
	v->pending += e->state == EDGE_PENDING;
	v->recreating += e->state == EDGE_RECREATING;
	v->confirmed += e->state == EDGE_CONFIRMED;
	v->failed += e->state == EDGE_FAILED;
}

/* C-20: nothing but failures is kept for a lost gateway if another one could serve. */
static bool is_stranded(const struct edge_entry_view *e)
{
	return m.lost[e->gateway] && e->state != EDGE_FAILED && first_up(e->resource);
}

static bool has_family(uint32_t resource, unsigned int family)
{
	enum ip_stack stack = m.stack[resource - 1];

	return stack == IP_STACK_DUAL || (stack == IP_STACK_IPV6) == family;
}

/* The combined verdict of a family, from scratch. */
static enum fq_edge_verdict verdict_of(const struct edge_domain_view *v, unsigned int family)
{
	unsigned int resources = 0, entries = 0;
	bool forward = false, hold = false;

	for (unsigned int i = 0; i < v->resource_count; i++)
		resources += has_family(v->resources[i], family);
	for (unsigned int i = 0; i < v->entry_count; i++) {
		const struct edge_entry_view *e = &v->entries[i];
		bool open = e->state == EDGE_PENDING || e->state == EDGE_RECREATING;

		if (!has_family(e->resource, family))
			continue;
		entries++;
		forward = forward || e->state == EDGE_CONFIRMED || (open && !e->buffering);
		hold = hold || (open && e->buffering);
	}
	hold = hold || entries < resources; /* EDGE_NONE */
	return forward ? FQ_EDGE_FORWARD : hold ? FQ_EDGE_HOLD : FQ_EDGE_REFUSE;
}

static bool check_domain(const struct edge_domain_view *v, void *ctx)
{
	const struct domain_model *d = &m.domain[index_of(v->name->text)];
	struct sums *sums = ctx;

	MUST(d->known);
	for (unsigned int family = 0; family < 2; family++)
		MUST(d->has_verdict[family] && d->verdict[family] == v->verdict[family] &&
		     d->verdict[family] == verdict_of(v, family));
	MUST(v->held == 0 || d->verdict[0] == FQ_EDGE_HOLD || d->verdict[1] == FQ_EDGE_HOLD);
	MUST(v->held <= HELD_PACKETS_MAX);
	for (unsigned int i = 0; i < v->entry_count; i++) {
		const struct entry_model *e = &d->entry[v->entries[i].resource - 1];

		MUST(e->state == v->entries[i].state && e->gateway == v->entries[i].gateway);
		MUST(!is_stranded(&v->entries[i]));
		count_entry(&v->entries[i], &sums->gateway[v->entries[i].gateway]);
		sums->open += e->state == EDGE_PENDING || e->state == EDGE_RECREATING;
	}
	for (unsigned int i = 0; i < v->proxies->count; i++) { /* P-04 */
		struct edge_domain_view owner;

		MUST(edge_find_proxy(bed.edge, &v->proxies->addr[i], &owner) && owner.id == v->id);
	}
	sums->domains++;
	sums->entries += v->entry_count;
	sums->held += v->held;
	m.held[index_of(v->name->text)] = v->held;
	return true;
}

static void check_all(void)
{
	struct sums sums = {0};
	struct edge_usage usage;

	memset(m.held, 0, sizeof(m.held));
	edge_foreach_domain(bed.edge, check_domain, &sums);
	for (uint32_t i = 1; i <= GATEWAYS; i++) {
		const struct edge_gateway_view *sum = &sums.gateway[i];
		struct edge_gateway_view v;

		if (!edge_gateway_view(bed.edge, i, &v))
			continue;
		MUST(v.up == m.up[i] && v.pending == sum->pending);
		MUST(v.recreating == sum->recreating);
		MUST(v.confirmed == sum->confirmed && v.failed == sum->failed);
	}
	edge_usage(bed.edge, &usage);
	MUST(usage.domains == sums.domains && usage.entries == sums.entries);
	MUST(usage.pending == sums.open && usage.held_packets == sums.held);
	MUST(usage.held_bytes <= usage.held_bytes_max && usage.actions == 0);
	MUST(m.offered == m.gone + sums.held);
	MUST(usage.v4.leased == sums.domains * PROXIES_V4);
}

/* ---- steps ---- */

static void step_query(char *input, size_t cap)
{
	static const char *const verbs[] = {"query", "query", "query", "requery", "refresh"};
	unsigned int verb = pick(5);

	m.name = (int)pick(NAMES);
	m.may_ask_failed = true;
	m.operator= verb == 4;
	snprintf(input, cap, "%s %s", verbs[verb], name_of((unsigned int)m.name));
}

static void step_packet(char *input, size_t cap)
{
	unsigned int name = pick(NAMES);
	struct domain_model *d = &m.domain[name];

	if (!d->last_number || pick(4)) { /* else as before, or a retransmission */
		d->last_number = ++m.number;
		d->last_is_syn = pick(2);
	}
	if (d->last_is_syn)
		snprintf(input, cap, "syn %s %u %u", name_of(name), d->last_number, pick(1000));
	else
		snprintf(input, cap, "%s %s %u", d->last_number % 3 ? "packet" : "packet6",
			 name_of(name), d->last_number);
	m.offered += d->known; /* else nobody's: an error, not kept */
}

/* C-17: what a status of this generation may do. One that is heard of is not lost: a tick then. */
static void step_status(char *input, size_t cap)
{
	unsigned int name = pick(NAMES), resource = pick(RESOURCES), back = pick(4);
	const struct entry_model *e = &m.domain[name].entry[resource];
	uint32_t generation = e->newest > back ? e->newest - back : 0;

	if (m.lost[e->gateway])
		return;
	if (pick(8) == 0 && e->request <= e->newest)
		generation = e->newest + 1;
	snprintf(input, cap, "%s %s %c@%u #%u", pick(3) ? "active" : "inactive", name_of(name),
		 'A' + resource, e->gateway ? e->gateway : 1 + pick(GATEWAYS), generation);
	m.name = (int)name;
}

static void check_status(const char *input)
{
	char name[16], resource;
	unsigned int gateway, generation;
	struct entry_model *e;
	const struct entry_model *before;
	bool stale;

	MUST(sscanf(input, "%*s %15s %c@%u #%u", name, &resource, &gateway, &generation) == 4);
	e = &m.domain[index_of(name)].entry[resource - 'A'];
	before = &m.before[index_of(name)].entry[resource - 'A'];
	if (before->state == EDGE_NONE) {
		MUST(strcmp(bed.text, "unknown") == 0);
		return;
	}
	stale = generation && (generation < before->request || generation > before->newest ||
			       generation < before->taken);
	if (stale) {
		MUST(strcmp(bed.text, "stale") == 0 && e->state == before->state);
		return;
	}
	if (input[0] == 'a') {
		m.proven[gateway] = true;
	} else if (e->gateway != gateway) { /* C-28: another one has been asked */
		MUST(!m.proven[gateway] && e->state == EDGE_PENDING);
		MUST(before->state == EDGE_PENDING || before->state == EDGE_RECREATING);
		return;
	}
	MUST(e->state == (input[0] == 'a' ? EDGE_CONFIRMED : EDGE_FAILED));
	if (generation)
		e->taken = generation;
}

static void step_gateway(char *input, size_t cap)
{
	static const char *const verbs[] = {"up", "up", "up", "lost", "gone"};
	unsigned int verb = pick(5), gateway = 1 + pick(GATEWAYS);

	m.up[gateway] = verb < 3;
	m.lost[gateway] = verb == 3;
	m.proven[gateway] = m.proven[gateway] && verb != 4;
	m.about_gateway = true;
	snprintf(input, cap, "%s %u", verbs[verb], gateway);
}

static void step_resources(void)
{
	const struct edge_resource all[RESOURCES] = {
		bed_resource('A', "**.x", IP_STACK_DUAL, 1, pick(2) ? 3 : 0),
		bed_resource('B', "b.x", IP_STACK_IPV4, 2, 1),
		bed_resource('C', "*.c", pick(3), pick(2) ? 1 : 3, 2),
		bed_resource('D', pick(2) ? "n1*.*" : "n?.c", IP_STACK_IPV6, 3, 0),
	};
	struct edge_resource list[RESOURCES];
	size_t count = 0;

	for (unsigned int i = 0; i < RESOURCES; i++) {
		memcpy(m.serves[i], all[i].gateways, sizeof(m.serves[i]));
		m.stack[i] = all[i].ip_stack;
		if (pick(5))
			list[count++] = all[i];
	}
	snprintf(m.input, sizeof(m.input), "resources");
	bed_resources(&bed, list, count);
}

static void step(int64_t *ms)
{
	char *input = m.input;
	uint32_t kind = pick(100);

	*ms += pick(30) ? pick(1500) : pick(400000);
	m.name = -1;
	m.may_ask_failed = m.operator= m.about_gateway = false;
	memcpy(m.before, m.domain, sizeof(m.before));
	bed.in_use = pick(2);
	bed.now.ns = 1000 * NSEC_PER_SEC + *ms * NSEC_PER_MSEC;
	if (kind < 2) {
		step_resources();
		return;
	}
	snprintf(input, sizeof(m.input), "tick");
	if (kind < 35)
		step_query(input, sizeof(m.input));
	else if (kind < 60)
		step_packet(input, sizeof(m.input));
	else if (kind < 82)
		step_status(input, sizeof(m.input));
	else if (kind < 88)
		step_gateway(input, sizeof(m.input));
	else if (kind < 90)
		snprintf(input, sizeof(m.input), "forget %s", name_of(pick(NAMES)));
	else if (kind < 93)
		snprintf(input, sizeof(m.input), "touch %s", name_of(pick(NAMES)));
	bed_do(&bed, *ms, input);
	if (kind >= 60 && kind < 82 && strcmp(input, "tick") != 0)
		check_status(input);
	if (strcmp(input, "tick") == 0)
		MUST(edge_deadline(bed.edge).ns > bed.now.ns);
}

static void run_seed(uint64_t seed)
{
	struct edge_settings settings = bed_settings();
	int64_t ms = 0;

	m = (struct model){.seed = seed, .random = seed * 0x9e3779b97f4a7c15ULL + 1};
	assert_int_equal(ipprefix_parse("100.96.0.0/26", &settings.pool.v4), 0);
	assert_int_equal(ipprefix_parse("fd00:2021:1111:8000::/121", &settings.pool.v6), 0);
	settings.pool.quarantine_ns = QUARANTINE_MS * NSEC_PER_MSEC;
	settings.held_bytes_max = 3000 + pick(10000);
	bed_open(&bed, &settings);
	bed.on_action = on_action;
	m.burst = pick(3);
	for (uint32_t g = 1; g <= GATEWAYS && m.burst; g++)
		assert_int_equal(edge_gateway_rate(bed.edge, g, 1, m.burst), 0);
	step_resources();
	for (int i = 0; i < STEPS; i++) {
		step(&ms);
		check_all();
		for (uint32_t g = 1; g <= GATEWAYS; g++) /* C-26 */
			MUST(!m.burst || m.sends[g] <= m.burst + (unsigned int)(ms / 1000));
	}
	bed_close(&bed);
}

static uint64_t only_seed;

/*
 * C-07, C-09, C-10, C-18, C-20, C-21: no AssignedIps but when one may be sent, and where. C-02,
 * C-23: packets are released once and in order, or dropped with an event. C-17: a stale status
 * never wins. P-04, P-10: addresses have one owner, and rest before they get another.
 */
static void invariants_hold_in_random_runs(void **state)
{
	(void)state;
	if (only_seed) {
		run_seed(only_seed);
		return;
	}
	for (uint64_t seed = 1; seed <= RUNS; seed++)
		run_seed(seed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invariants_hold_in_random_runs),
	};

	if (argc > 1)
		only_seed = strtoull(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
