/* SPDX-License-Identifier: BSD-2-Clause */
/* The gateway's resolver against a DNS server with all its faults. */
#include <errno.h>
#include <ifaddrs.h>

#include "resolver_lab.h"

static void query(struct lab *lab, const char *text)
{
	struct dname name;

	lab->a = lab->aaaa = (struct got){0};
	assert_int_equal(dname_from_text(text, &name), 0);
	assert_int_equal(resolver_query(lab->resolver, &name), 0);
	assert_int_equal(lab->a.times + lab->aaaa.times, 0); /* never from within */
	run_until(lab, &lab->a.times, 1);
	run_until(lab, &lab->aaaa.times, 1);
	assert_int_equal(resolver_in_flight(lab->resolver), 0);
}

static void expect_addr(const struct got *got, unsigned int at, const char *text)
{
	char buf[IPADDR_STRLEN];

	assert_true(at < got->count);
	assert_string_equal(ipaddr_format(&got->addrs[at], buf), text);
}

/* G-04: A and AAAA are looked up separately, with their TTLs. */
static void both_families_are_answered(void **state)
{
	struct lab *lab = *state;

	query(lab, "www.test");
	assert_int_equal(lab->a.outcome, RESOLVER_OK);
	assert_int_equal(lab->aaaa.outcome, RESOLVER_OK);
	expect_addr(&lab->a, 0, "192.0.2.1");
	expect_addr(&lab->aaaa, 0, "2001:db8::1");
	assert_int_equal(lab->a.ttl_s, 60);

	query(lab, "many.test");
	assert_int_equal(lab->a.count, 3);
	assert_int_equal(lab->a.ttl_s, 30);
}

static void failures_are_told_apart(void **state)
{
	static const struct {
		const char *name;
		enum resolver_outcome outcome;
	} rows[] = {
		{"nodata.test", RESOLVER_NODATA},  {"dangling.test", RESOLVER_NODATA},
		{"nx.test", RESOLVER_NXDOMAIN},    {"servfail.test", RESOLVER_FAILED},
		{"refused.test", RESOLVER_FAILED}, {"malformed.test", RESOLVER_FAILED},
		{"silent.test", RESOLVER_TIMEOUT}, {"wrongid.test", RESOLVER_TIMEOUT},
		{"short.test", RESOLVER_TIMEOUT},
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < N(rows); i++) {
		query(lab, rows[i].name);
		if (lab->a.outcome != rows[i].outcome || lab->aaaa.outcome != rows[i].outcome)
			fail_msg("%s: %d, %d", rows[i].name, lab->a.outcome, lab->aaaa.outcome);
		assert_int_equal(lab->a.count + lab->aaaa.count, 0);
	}
}

/* G-04: one family that is late or fails does not take the other along. */
static void families_fail_on_their_own(void **state)
{
	struct lab *lab = *state;
	struct dname name;

	assert_int_equal(dname_from_text("partial.test", &name), 0);
	assert_int_equal(resolver_query(lab->resolver, &name), 0);
	run_until(lab, &lab->a.times, 1);
	assert_int_equal(lab->aaaa.times, 0);
	assert_int_equal(lab->a.outcome, RESOLVER_OK);
	run_until(lab, &lab->aaaa.times, 1);
	assert_int_equal(lab->aaaa.outcome, RESOLVER_TIMEOUT);

	query(lab, "half.test");
	assert_int_equal(lab->a.outcome, RESOLVER_FAILED);
	assert_int_equal(lab->aaaa.outcome, RESOLVER_OK);
}

static void cname_is_followed_with_its_ttl(void **state)
{
	struct lab *lab = *state;

	query(lab, "cname.test");
	assert_int_equal(lab->a.outcome, RESOLVER_OK);
	expect_addr(&lab->a, 0, "192.0.2.9");
	expect_addr(&lab->aaaa, 0, "2001:db8::9");
	assert_int_equal(lab->a.ttl_s, 7);
}

static void truncated_answer_is_fetched_by_tcp(void **state)
{
	struct lab *lab = *state;

	query(lab, "big.test");
	assert_int_equal(lab->a.outcome, RESOLVER_OK);
	assert_int_equal(lab->a.count, 40);
	assert_int_equal(lab->aaaa.count, 40);
	assert_true(lab->fake.tcp_queries >= 2);
}

/* G-02: the whole lookup ends in time, tries and all, and the query was repeated. */
static void timeout_is_kept_and_query_repeated(void **state)
{
	struct lab *lab = *state;
	struct instant start = instant_now();

	query(lab, "silent.test");
	assert_true(instant_sub(instant_now(), start) < 5 * TIMEOUT_MS * NSEC_PER_MSEC);
	assert_true(instant_sub(instant_now(), start) > TIMEOUT_MS * NSEC_PER_MSEC / 2);
	assert_true(lab->fake.udp_queries >= 4);
}

/*
 * "Connection refused" reaches one of the two queries on the socket, whichever call sees it first;
 * the other may have to wait for its retransmission. Both mean the same to the gateway.
 */
static void unreachable_server_fails(void **state)
{
	struct lab *lab = *state;
	struct instant start;
	char text[32];

	close_both(lab);
	fake_stop(&lab->fake);
	snprintf(text, sizeof(text), "127.0.0.1:%u", lab->fake.port);
	open_with(lab, text, TIMEOUT_MS);
	start = instant_now();
	query(lab, "www.test");
	assert_true(lab->a.outcome == RESOLVER_FAILED || lab->a.outcome == RESOLVER_TIMEOUT);
	assert_true(lab->aaaa.outcome == RESOLVER_FAILED || lab->aaaa.outcome == RESOLVER_TIMEOUT);
	assert_true(instant_sub(instant_now(), start) < 5 * TIMEOUT_MS * NSEC_PER_MSEC);
	assert_int_equal(fake_start(&lab->fake), 0);
}

static void free_ends_lookups_silently(void **state)
{
	struct lab *lab = *state;
	struct dname name;

	assert_int_equal(dname_from_text("silent.test", &name), 0);
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(resolver_query(lab->resolver, &name), 0);
	assert_int_equal(resolver_in_flight(lab->resolver), 20);
	resolver_free(TAKE_PTR(lab->resolver));
	assert_int_equal(lab->a.times + lab->aaaa.times, 0);
}

static void many_lookups_at_a_time(void **state)
{
	struct lab *lab = *state;
	struct dname name;

	for (unsigned int i = 0; i < 100; i++) {
		char text[32];

		snprintf(text, sizeof(text), "n%u.test", i);
		assert_int_equal(dname_from_text(text, &name), 0);
		assert_int_equal(resolver_query(lab->resolver, &name), 0);
	}
	run_until(lab, &lab->a.times, 100);
	run_until(lab, &lab->aaaa.times, 100);
	assert_int_equal(lab->a.outcome, RESOLVER_OK);
}

static int try_servers(struct lab *lab, struct dns_servers servers)
{
	struct resolver_settings settings = {.servers = servers, .timeout_ms = TIMEOUT_MS};
	struct resolver *resolver = NULL;
	int r = resolver_new(lab->event, &settings, on_answer, lab, &resolver);

	resolver_free(resolver);
	return r;
}

static void server_addresses_are_checked(void **state)
{
	static const char *const good[] = {"192.0.2.53",     "192.0.2.53:53",       "2001:db8::53",
					   "[2001:db8::53]", "[2001:db8::53]:5353", "system"};
	static const char *const bad[] = {"",
					  "dns.example",
					  "192.0.2.53:",
					  "192.0.2.53:0",
					  "192.0.2.53:65536",
					  "192.0.2.53:x",
					  "[2001:db8::53",
					  "[2001:db8::53]:",
					  "[]:53",
					  ":53",
					  "[",
					  "[]",
					  "2001:db8::53]:53"};
	struct lab *lab = *state;

	for (size_t i = 0; i < N(good); i++) {
		const char *text[] = {good[i]};

		if (try_servers(lab, (struct dns_servers){.text = text, .count = 1}) != 0)
			fail_msg("refused: %s", good[i]);
	}
	for (size_t i = 0; i < N(bad); i++) {
		const char *text[] = {bad[i]};

		if (try_servers(lab, (struct dns_servers){.text = text, .count = 1}) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(try_servers(lab, (struct dns_servers){0}), 0);
}

static int try_own(struct lab *lab, const char *server, const char *own, uint16_t port)
{
	struct dns_listen listen[2] = {{.port = 1}, {.port = port}};
	struct dns_servers servers = {.text = &server, .count = 1, .own = listen, .own_count = 2};

	assert_int_equal(ipaddr_parse("192.0.2.99", &listen[0].addr), 0);
	assert_int_equal(ipaddr_parse(own, &listen[1].addr), 0);
	return try_servers(lab, servers);
}

/* D-05: no query goes in circles: our own listeners are no servers, and nobody else's are. */
static void own_listeners_are_no_servers(void **state)
{
	static const struct {
		const char *server, *own;
		uint16_t port;
		int r;
	} rows[] = {
		{"192.0.2.1:5353", "192.0.2.1", 5353, -EDESTADDRREQ},
		{"192.0.2.1", "192.0.2.1", 53, -EDESTADDRREQ},
		{"[2001:db8::1]:5353", "2001:db8::1", 5353, -EDESTADDRREQ},
		{"127.0.0.1:53", "127.0.0.1", 5353, 0},
		{"192.0.2.2:5353", "192.0.2.1", 5353, 0},
		{"127.0.0.1:5353", "127.0.0.53", 5353, 0},
		/* a wildcard is every address of this host */
		{"127.0.0.1:5353", "0.0.0.0", 5353, -EDESTADDRREQ},
		{"127.0.0.53:5353", "::", 5353, -EDESTADDRREQ},
		{"[::1]:5353", "::", 5353, -EDESTADDRREQ},
		{"[::1]:5353", "0.0.0.0", 5353, 0},
		{"127.0.0.1:53", "::", 5353, 0},
		{"192.0.2.1:5353", "::", 5353, 0}, /* is not one of them */
		/* and to ask the wildcard is to ask ourselves */
		{"0.0.0.0:5353", "127.0.0.1", 5353, -EDESTADDRREQ},
		{"[::]:5353", "::1", 5353, -EDESTADDRREQ},
		{"[::]:5353", "::", 5353, -EDESTADDRREQ},
	};
	struct lab *lab = *state;

	for (size_t i = 0; i < N(rows); i++)
		if (try_own(lab, rows[i].server, rows[i].own, rows[i].port) != rows[i].r)
			fail_msg("%s beside %s port %u: not %d", rows[i].server, rows[i].own,
				 rows[i].port, rows[i].r);
}

/* A wildcard listener hears what is sent to any address of an interface, too. */
static void wildcard_is_every_address_of_the_host(void **state)
{
	struct lab *lab = *state;
	struct ifaddrs *host;
	unsigned int tried = 0;

	assert_int_equal(getifaddrs(&host), 0);
	for (struct ifaddrs *i = host; i; i = i->ifa_next) {
		char text[IPADDR_STRLEN + 8], buf[IPADDR_STRLEN];
		struct fq_addr addr;
		uint16_t port;

		if (!i->ifa_addr || ipaddr_from_sockaddr(i->ifa_addr, &addr, &port) < 0)
			continue;
		snprintf(text, sizeof(text), ipaddr_is_v4(&addr) ? "%s:5353" : "[%s]:5353",
			 ipaddr_format(&addr, buf));
		assert_int_equal(try_own(lab, text, "::", 5353), -EDESTADDRREQ);
		assert_int_equal(try_own(lab, text, "::", 5354), 0);
		tried++;
	}
	freeifaddrs(host);
	assert_int_not_equal(tried, 0);
}

/* RFC 5452 9.2: who has seen a query's port knows nothing about the next one's. */
static void each_lookup_has_its_port(void **state)
{
	struct lab *lab = *state;
	struct dname name;
	unsigned int shared;

	ask_once(lab);
	for (unsigned int i = 0; i < 200; i++) {
		char text[32];

		snprintf(text, sizeof(text), "n%u.test", i);
		assert_int_equal(dname_from_text(text, &name), 0);
		assert_int_equal(resolver_query(lab->resolver, &name), 0);
	}
	run_until(lab, &lab->a.times, 200);
	run_until(lab, &lab->aaaa.times, 200);
	assert_int_equal(lab->fake.udp_queries, 400);
	assert_in_range(ports(&lab->fake, &shared), 200, 200);
	assert_in_range(shared, 1, 2); /* A and AAAA */
}

static void second_server_is_asked_when_the_first_fails(void **state)
{
	struct lab *lab = *state;
	struct fake dead;
	struct resolver_settings settings = {
		.servers = {.text = lab->server, .count = 2},
		.timeout_ms = 10 * TIMEOUT_MS,
	};
	char text[32];

	assert_int_equal(fake_start(&dead), 0);
	fake_stop(&dead);
	snprintf(text, sizeof(text), "127.0.0.1:%u", dead.port);
	resolver_free(TAKE_PTR(lab->resolver));
	lab->server[0] = text;
	lab->server[1] = lab->fake.text;
	assert_int_equal(resolver_new(lab->event, &settings, on_answer, lab, &lab->resolver), 0);
	query(lab, "www.test");
	assert_int_equal(lab->a.outcome, RESOLVER_OK);
	assert_int_equal(lab->aaaa.outcome, RESOLVER_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LAB_TEST(both_families_are_answered),
		LAB_TEST(failures_are_told_apart),
		LAB_TEST(families_fail_on_their_own),
		LAB_TEST(cname_is_followed_with_its_ttl),
		LAB_TEST(truncated_answer_is_fetched_by_tcp),
		LAB_TEST(timeout_is_kept_and_query_repeated),
		LAB_TEST(unreachable_server_fails),
		LAB_TEST(free_ends_lookups_silently),
		LAB_TEST(many_lookups_at_a_time),
		LAB_TEST(server_addresses_are_checked),
		LAB_TEST(own_listeners_are_no_servers),
		LAB_TEST(wildcard_is_every_address_of_the_host),
		LAB_TEST(each_lookup_has_its_port),
		LAB_TEST(second_server_is_asked_when_the_first_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
