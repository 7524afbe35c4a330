/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The session table as user space sees it (user/dataplane/table.h): what is read of an entry, and
 * its end. Entries are put there in the way of a program, by the same functions.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/table_put.h"
#include "base/cleanup.h"
#include "base/ipaddr.h"
#include "dataplane/expiry.h"

#define SLOTS   TABLE_SLOTS_MIN
#define TICK    (1ULL << 20) /* ns */
#define AHEAD   (1ULL << 26) /* ticks that may be the future */
#define GATEWAY 7
#define S(n)    ((uint64_t)(n)*NSEC_PER_SEC)
#define AT(n)   ((struct instant){(int64_t)(n)})

#define CLIENT4 "10.1.2.3"
#define PROXY4  "100.96.0.1"
#define NAT4    "192.0.2.1"
#define SERVER4 "198.51.100.10"
#define CLIENT6 "2001:db8:1::3"
#define PROXY6  "fd00:2021:1111::1"
#define NAT6    "2001:db8:2::1"
#define SERVER6 "2001:db8:2::10"

struct lab {
	struct fq_table table;
	struct session_table t;
};

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static int setup(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	assert_non_null(lab);
	assert_int_equal(table_draw(&lab->table, SLOTS), 0);
	lab->t = (struct session_table){
		.table = &lab->table,
		.slot = aligned_alloc(64, SLOTS * sizeof(struct fq_slot)),
		.six = calloc(SLOTS, sizeof(struct fq_slot6)),
		.cold = calloc(SLOTS, sizeof(struct fq_cold)),
	};
	assert_true(lab->t.slot && lab->t.six && lab->t.cold);
	table_clear(&lab->t);
	*state = lab;
	return 0;
}

static int teardown(void **state)
{
	struct lab *lab = *state;

	free(lab->t.slot);
	free(lab->t.six);
	free(lab->t.cold);
	free(lab);
	return 0;
}

/* ---- sessions of every kind ---- */

struct kind {
	const char *claim;
	uint8_t proto;
	const char *client, *proxy, *nat, *real;
	uint16_t gateway;
};

static const struct kind kinds[] = {
	{"tcp", IPPROTO_TCP, CLIENT4, PROXY4, NAT4, SERVER4, 0},
	{"udp", IPPROTO_UDP, CLIENT4, PROXY4, NAT4, SERVER4, 0},
	{"icmp", IPPROTO_ICMP, CLIENT4, PROXY4, NAT4, SERVER4, 0},
	{"tcp, IPv6", IPPROTO_TCP, CLIENT6, PROXY6, NAT6, SERVER6, 0},
	{"udp, IPv6", IPPROTO_UDP, CLIENT6, PROXY6, NAT6, SERVER6, 0},
	{"icmp, IPv6", IPPROTO_ICMPV6, CLIENT6, PROXY6, NAT6, SERVER6, 0},
	{"tcp, IPv4 to IPv6", IPPROTO_TCP, CLIENT4, PROXY4, NAT6, SERVER6, 0},
	{"tcp, IPv6 to IPv4", IPPROTO_TCP, CLIENT6, PROXY6, NAT4, SERVER4, 0},
	{"icmp, IPv4 to IPv6", IPPROTO_ICMP, CLIENT4, PROXY4, NAT6, SERVER6, 0},
	{"icmp, IPv6 to IPv4", IPPROTO_ICMPV6, CLIENT6, PROXY6, NAT4, SERVER4, 0},
	{"udp that is forwarded", IPPROTO_UDP, CLIENT4, PROXY4, CLIENT4, PROXY4, GATEWAY},
	{"tcp, IPv6, that is forwarded", IPPROTO_TCP, CLIENT6, PROXY6, CLIENT6, PROXY6, GATEWAY},
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

struct half {
	struct fq_tuple key;
	struct session_entry entry;
};

static struct half out_half(const struct kind *k)
{
	bool tcp = k->proto == IPPROTO_TCP, udp = k->proto == IPPROTO_UDP;
	struct half h = {
		.key = {.src = addr(k->client),
			.dst = addr(k->proxy),
			.sport = htons(40000),
			.dport = htons(tcp ? 443 : 0),
			.proto = k->proto},
		.entry = {.src = addr(k->nat),
			  .dst = addr(k->real),
			  .port = htons(k->gateway ? 40000 : 50000),
			  .peer_port = htons(tcp   ? 443
					     : udp ? 53
						   : 0),
			  .dir = FQ_DIR_OUT,
			  .gateway = k->gateway,
			  .client = 3,
			  .resource = 4,
			  .domain = 5,
			  .gen = 6,
			  .hop = 8,
			  .created = S(900) + 1,
			  .last = 1000 * TICK,
			  .packets = 11,
			  .bytes = 1100},
	};

	if (tcp)
		h.entry.tcp_seen = FQ_TCP_SYN | FQ_TCP_ACK;
	if (tcp)
		h.entry.tcp = (struct session_tcp){.ack = 1,
						   .edge = 2,
						   .next = 3,
						   .syn_end = 4,
						   .syn_len = 5,
						   .syn_wscale = 6,
						   .wscale = 7,
						   .syn_pending = 1};
	return h;
}

static struct half in_half(const struct kind *k)
{
	struct half out = out_half(k), in = out;

	in.key = session_partner(&out.key, &out.entry);
	in.entry.src = k->gateway ? in.key.src : out.key.dst;
	in.entry.dst = k->gateway ? in.key.dst : out.key.src;
	in.entry.port = out.key.sport;
	in.entry.dir = FQ_DIR_IN;
	return in;
}

/* Read what stands there, which has to be that entry. */
static void assert_reads(const char *claim, struct lab *lab, uint32_t index,
			 const struct half *want)
{
	struct session_entry entry;
	struct fq_tuple key;

	if (index == TABLE_NONE || !table_read(&lab->t, index, AT(2000 * TICK), &key, &entry))
		fail_msg("%s: not there", claim);
	if (memcmp(&key, &want->key, sizeof(key)) != 0)
		fail_msg("%s: another key", claim);
	assert_true(ipaddr_equal(&entry.src, &want->entry.src));
	assert_true(ipaddr_equal(&entry.dst, &want->entry.dst));
	assert_int_equal(entry.port, want->entry.port);
	assert_int_equal(entry.peer_port, want->entry.peer_port);
	assert_int_equal(entry.dir, want->entry.dir);
	assert_int_equal(entry.tcp_seen, want->entry.tcp_seen);
	assert_int_equal(entry.gateway, want->entry.gateway);
	assert_int_equal(entry.client, want->entry.client);
	assert_int_equal(entry.resource, want->entry.resource);
	assert_int_equal(entry.domain, want->entry.domain);
	assert_int_equal(entry.gen, want->entry.gen);
	assert_int_equal(entry.hop, want->entry.hop);
	assert_int_equal(entry.created, want->entry.created);
	assert_int_equal(entry.last, want->entry.last);
	assert_int_equal(entry.packets, want->entry.packets);
	assert_int_equal(entry.bytes, want->entry.bytes);
	assert_memory_equal(&entry.tcp, &want->entry.tcp, sizeof(entry.tcp));
}

static void both_halves_of_every_kind_of_session_are_found_and_read(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < KINDS; i++) {
		struct half out = out_half(&kinds[i]), in = in_half(&kinds[i]);

		table_clear(&lab->t);
		table_put(&lab->t, &out.key, &out.entry);
		table_put(&lab->t, &in.key, &in.entry);
		assert_reads(kinds[i].claim, lab, table_find(&lab->t, &out.key), &out);
		assert_reads(kinds[i].claim, lab, table_find(&lab->t, &in.key), &in);
	}
}

static void each_half_leads_to_the_other_one(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < KINDS; i++) {
		struct half out = out_half(&kinds[i]), in = in_half(&kinds[i]);
		struct session_entry entry;
		struct fq_tuple key, partner;

		table_clear(&lab->t);
		table_put(&lab->t, &out.key, &out.entry);
		table_put(&lab->t, &in.key, &in.entry);
		assert_true(
			table_read(&lab->t, table_find(&lab->t, &in.key), AT(S(1)), &key, &entry));
		partner = session_partner(&key, &entry);
		assert_reads(kinds[i].claim, lab, table_find(&lab->t, &partner), &out);
	}
}

/* The slots of a table are memory of the kernel: what a program leaves there of the last entry. */
static void nothing_of_an_entry_before_is_read(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < KINDS; i++) {
		struct half out = out_half(&kinds[i]);

		for (uint32_t s = 0; s < SLOTS; s++) {
			memset(&lab->t.slot[s], 0xff, sizeof(lab->t.slot[s]));
			lab->t.slot[s].bits = 0;
			lab->t.slot[s].word = TABLE_FREE;
		}
		memset(lab->t.six, 0xff, SLOTS * sizeof(*lab->t.six));
		memset(lab->t.cold, 0xff, SLOTS * sizeof(*lab->t.cold));
		table_put(&lab->t, &out.key, &out.entry);
		assert_reads(kinds[i].claim, lab, table_find(&lab->t, &out.key), &out);
	}
}

static void what_differs_in_one_word_is_not_found(void **state)
{
	struct lab *lab = *state;
	struct half out = out_half(&kinds[3]);

	table_put(&lab->t, &out.key, &out.entry);
	for (size_t i = 0; i < offsetof(struct fq_tuple, proto); i++) {
		struct fq_tuple other = out.key;

		((uint8_t *)&other)[i] ^= 1;
		assert_true(table_find(&lab->t, &other) == TABLE_NONE);
	}
	out.key.proto = IPPROTO_UDP;
	assert_true(table_find(&lab->t, &out.key) == TABLE_NONE);
}

/* ---- counters and instants ---- */

static struct half counted(struct lab *lab, uint32_t *ret_index)
{
	struct half h = out_half(&kinds[1]);

	table_put(&lab->t, &h.key, &h.entry);
	*ret_index = table_find(&lab->t, &h.key);
	assert_true(*ret_index != TABLE_NONE);
	return h;
}

static void counters_go_on_beyond_32_bits(void **state)
{
	struct lab *lab = *state;
	uint32_t index;
	struct half h = counted(lab, &index);

	/* As a program leaves it: bytes that came around have gone on into the packets. */
	lab->t.slot[index].counts = 7 * TABLE_COUNT_PACKET + 9;
	lab->t.cold[index].carry =
		3 * TABLE_CARRY_COUNTS + (TABLE_CARRY_COUNTS - 1) * TABLE_CARRY_BYTES;
	h.entry.bytes = ((TABLE_CARRY_COUNTS - 1ULL) << 32) + 9;
	h.entry.packets = (3ULL << 32) + 7 - (TABLE_CARRY_COUNTS - 1);
	assert_reads("counters", lab, index, &h);
}

static uint64_t last_read(struct lab *lab, uint32_t index, uint64_t ticks, uint64_t now_ticks)
{
	struct session_entry entry;
	struct fq_tuple key;

	lab->t.slot[index].last = ticks ? table_ticks(ticks << 20) : 0;
	assert_true(table_read(&lab->t, index, AT(now_ticks << 20), &key, &entry));
	return entry.last >> 20;
}

/* Ticks come around every 52 days. */
static void the_instant_of_the_last_packet_is_the_one_near_now(void **state)
{
	static const struct {
		uint64_t last, now;
	} rows[] = {
		{1, 1},
		{1, 1000},
		{1000, 1000},
		{1000 + AHEAD, 1000}, /* the virtual clock of a test */
		{1, (1ULL << 32) - AHEAD - 2},
		{(1ULL << 32) - 1, (1ULL << 32) - 1},
		{(1ULL << 32) - 1, 1ULL << 32},
		{(1ULL << 32) - 1, (1ULL << 32) + 1000},
		{(1ULL << 32) + 1, (1ULL << 32) + 1000},
		{(1ULL << 32) + 5, (1ULL << 32) - 5},
		{(3ULL << 32) - 1000, (3ULL << 32) + 1000},
		{(7ULL << 32) + 1000, (8ULL << 32) - AHEAD},
	};
	struct lab *lab = *state;
	uint32_t index;

	counted(lab, &index);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (last_read(lab, index, rows[i].last, rows[i].now) != rows[i].last)
			fail_msg("row %zu: %llu ticks", i,
				 (unsigned long long)last_read(lab, index, rows[i].last,
							       rows[i].now));
}

static void no_packet_yet_is_no_instant(void **state)
{
	struct lab *lab = *state;
	struct session_entry entry;
	struct fq_tuple key;
	uint32_t index;

	counted(lab, &index);
	lab->t.slot[index].last = 0;
	assert_true(table_read(&lab->t, index, AT(S(10000000)), &key, &entry));
	assert_int_equal(entry.last, 0);
	/* And the tick that would say so is told as the next one. */
	assert_int_equal(last_read(lab, index, 5ULL << 32, 5ULL << 32), (5ULL << 32) + 1);
}

static void an_instant_is_rounded_down(void **state)
{
	struct lab *lab = *state;
	struct session_entry entry;
	struct fq_tuple key;
	uint32_t index;

	counted(lab, &index);
	lab->t.slot[index].last = table_ticks(1000 * TICK + TICK - 1);
	assert_true(table_read(&lab->t, index, AT(1000 * TICK + TICK - 1), &key, &entry));
	assert_int_equal(entry.last, 1000 * TICK);
}

/* ---- the end ---- */

static bool is_there(struct lab *lab, uint32_t index)
{
	struct session_entry entry;
	struct fq_tuple key;

	return table_read(&lab->t, index, AT(S(1000)), &key, &entry);
}

/* Nothing stands in the table, and nothing leads to anything. */
static void assert_empty(const struct lab *lab)
{
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_true(!lab->t.slot[i].word && !lab->t.slot[i].bits);
}

static void an_entry_ends_once(void **state)
{
	struct lab *lab = *state;
	uint32_t index;
	struct half h = counted(lab, &index);

	assert_true(table_end(&lab->t, index));
	assert_false(table_end(&lab->t, index));
	assert_true(table_find(&lab->t, &h.key) == TABLE_NONE);
	assert_false(is_there(lab, index));
}

/* A program may still be reading it. */
static void its_place_is_nobody_elses_before_it_is_released(void **state)
{
	struct lab *lab = *state;
	uint32_t index;
	struct half h = counted(lab, &index);

	assert_true(table_end(&lab->t, index));
	table_put(&lab->t, &h.key, &h.entry);
	assert_true(table_find(&lab->t, &h.key) != index);
	assert_true(table_drop(&lab->t, &h.key));

	assert_true(table_take_dead(&lab->t, index, false));
	table_put(&lab->t, &h.key, &h.entry);
	assert_true(table_find(&lab->t, &h.key) != index);
	assert_true(table_drop(&lab->t, &h.key));

	table_release(&lab->t, index);
	table_put(&lab->t, &h.key, &h.entry);
	assert_true(table_find(&lab->t, &h.key) == index);
}

static void the_dead_are_taken_once(void **state)
{
	struct lab *lab = *state;
	uint32_t index;

	counted(lab, &index);
	assert_false(table_take_dead(&lab->t, index, false));
	assert_true(table_end(&lab->t, index));
	assert_true(table_take_dead(&lab->t, index, false));
	assert_false(table_take_dead(&lab->t, index, false));
	/* But by who comes after a process that has died with it. */
	assert_true(table_take_dead(&lab->t, index, true));
	table_release(&lab->t, index);
	assert_false(table_take_dead(&lab->t, index, true));
	assert_empty(lab);
}

/* Whoever removed it has died, or is not done yet. */
static void what_is_dead_and_still_linked_is_unlinked(void **state)
{
	struct lab *lab = *state;

	for (size_t i = 0; i < KINDS; i++) {
		struct half h = out_half(&kinds[i]);
		uint32_t index;

		table_put(&lab->t, &h.key, &h.entry);
		index = table_find(&lab->t, &h.key);
		lab->t.slot[index].state |= TABLE_DEAD;
		assert_false(is_there(lab, index));
		assert_true(table_take_dead(&lab->t, index, false));
		assert_true(table_find(&lab->t, &h.key) == TABLE_NONE);
		table_release(&lab->t, index);
		assert_empty(lab);
	}
}

/* It is being made by a program: its bit may be set already. */
static void what_is_not_live_yet_is_left_alone(void **state)
{
	static const uint8_t states[] = {TABLE_CLAIMED, TABLE_CLAIMED | TABLE_DEAD};
	struct lab *lab = *state;
	uint32_t index;

	counted(lab, &index);
	for (size_t i = 0; i < sizeof(states); i++) {
		lab->t.slot[index].state = states[i];
		assert_false(is_there(lab, index));
		assert_false(table_take_dead(&lab->t, index, false));
		assert_false(table_take_dead(&lab->t, index, true));
	}
}

/* ---- the table itself ---- */

static void a_table_has_room_for_what_was_asked_for(void **state)
{
	(void)state;
	assert_int_equal(table_slots(1), TABLE_SLOTS_MIN);
	assert_int_equal(table_slots(262144), 655360);
	assert_int_equal(table_slots(UINT32_MAX), TABLE_SLOTS_MAX);
	for (uint32_t n = 1; n < TABLE_SLOTS_MAX / 5 * 2; n += 1 + n / 3) {
		uint32_t slots = table_slots(n);

		assert_int_equal(slots % 2, 0);
		assert_true(table_sessions(slots) >= n);
		/* Load 0.8, but for the least. */
		if (slots > TABLE_SLOTS_MIN)
			assert_true(slots - n * 5ULL / 2 <= 2);
	}
}

static void every_table_has_keys_of_its_own(void **state)
{
	struct fq_table a, b;

	(void)state;
	assert_int_equal(table_draw(&a, SLOTS), 0);
	assert_int_equal(table_draw(&b, SLOTS), 0);
	assert_int_equal(a.slots, SLOTS);
	for (size_t i = 0; i < FQ_TABLE_KEYS; i++)
		assert_true(a.key[i] != b.key[i]);
}

static int memory(size_t bytes)
{
	int fd = memfd_create("table", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static void who_maps_the_arrays_sees_the_entries(void **state)
{
	_cleanup_(closep) int slot = memory(SLOTS * sizeof(struct fq_slot));
	_cleanup_(closep) int cold = memory(SLOTS * sizeof(struct fq_cold));
	_cleanup_(closep) int six = memory(SLOTS * sizeof(struct fq_slot6));
	struct lab *lab = *state, reader = {.table = lab->table}, writer = {.table = lab->table};
	struct half h = out_half(&kinds[6]);

	assert_int_equal(table_map(&writer.t, slot, six, cold, &writer.table, true), 0);
	assert_int_equal(table_map(&reader.t, slot, six, cold, &reader.table, false), 0);
	table_put(&writer.t, &h.key, &h.entry);
	assert_reads("another process", &reader, table_find(&reader.t, &h.key), &h);
	assert_true(table_end(&writer.t, table_find(&writer.t, &h.key)));
	assert_true(table_find(&reader.t, &h.key) == TABLE_NONE);
	table_unmap(&writer.t);
	table_unmap(&reader.t);
	assert_null(writer.t.slot);
	table_unmap(&writer.t);
}

static void what_cannot_be_mapped_is_said(void **state)
{
	struct lab *lab = *state;
	struct session_table t;

	assert_int_equal(table_map(&t, -1, -1, -1, &lab->table, false), -EBADF);
	assert_null(t.slot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_halves_of_every_kind_of_session_are_found_and_read),
		TEST(each_half_leads_to_the_other_one),
		TEST(nothing_of_an_entry_before_is_read),
		TEST(what_differs_in_one_word_is_not_found),
		TEST(counters_go_on_beyond_32_bits),
		TEST(the_instant_of_the_last_packet_is_the_one_near_now),
		TEST(no_packet_yet_is_no_instant),
		TEST(an_instant_is_rounded_down),
		TEST(an_entry_ends_once),
		TEST(its_place_is_nobody_elses_before_it_is_released),
		TEST(the_dead_are_taken_once),
		TEST(what_is_dead_and_still_linked_is_unlinked),
		TEST(what_is_not_live_yet_is_left_alone),
		TEST(a_table_has_room_for_what_was_asked_for),
		TEST(every_table_has_keys_of_its_own),
		TEST(who_maps_the_arrays_sees_the_entries),
		TEST(what_cannot_be_mapped_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
