/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages on the wire: round trips, expected bytes, and everything that is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/ipaddr.h"
#include "core/control.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define UUID "00000000-0000-0000-0000-000000000065"

static struct dname name(const char *text)
{
	struct dname n;

	assert_int_equal(dname_from_text(text, &n), 0);
	return n;
}

static struct fq_addr addr(const char *text)
{
	struct fq_addr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static struct control_message assigned(unsigned int v4, unsigned int v6)
{
	struct control_message msg = {
		.event = CONTROL_ASSIGNED_IPS,
		.generation = 0x01020304,
		.resource = UUID,
		.domain = name("example.com"),
	};

	for (unsigned int i = 0; i < v4; i++) {
		struct fq_addr base = addr("100.96.0.1");

		msg.proxies[msg.proxy_count++] = ipaddr_add(&base, i);
	}
	for (unsigned int i = 0; i < v6; i++) {
		struct fq_addr base = addr("fd00:2021:1111:8000::");

		msg.proxies[msg.proxy_count++] = ipaddr_add(&base, i);
	}
	return msg;
}

static int decode(uint8_t event, const char *payload, struct control_message *msg)
{
	uint8_t bytes[CONTROL_MESSAGE_MAX + 64] = {event};
	size_t len = strlen(payload);

	assert_true(8 + len <= sizeof(bytes));
	memcpy(bytes + 8, payload, len);
	return control_decode(bytes, 8 + len, msg);
}

static void assert_bytes(const struct control_message *msg, const uint8_t header[8],
			 const char *payload)
{
	uint8_t buf[CONTROL_MESSAGE_MAX];
	size_t len = 0;

	assert_int_equal(control_encode(msg, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 8 + strlen(payload));
	assert_memory_equal(buf, header, 8);
	assert_memory_equal(buf + 8, payload, len - 8);
}

static void assert_round_trip(const struct control_message *msg)
{
	uint8_t buf[CONTROL_MESSAGE_MAX];
	struct control_message back;
	size_t len;

	assert_int_equal(control_encode(msg, buf, sizeof(buf), &len), 0);
	assert_int_equal(control_decode(buf, len, &back), 0);
	assert_int_equal(back.event, msg->event);
	assert_int_equal(back.generation, msg->generation);
	assert_string_equal(back.resource, msg->resource);
	assert_string_equal(back.domain.text, msg->domain.text);
	assert_int_equal(back.proxy_count, msg->proxy_count);
	assert_memory_equal(back.proxies, msg->proxies, sizeof(msg->proxies));
	assert_int_equal(back.status, msg->status);
}

/* W-01: AssignedIps comes back as it went, and its bytes are the reference's. */
static void assigned_ips_round_trip(void **state)
{
	const uint8_t header[8] = {0, 0, 0, 0, 1, 2, 3, 4};
	struct control_message both = assigned(4, 4), v4 = assigned(4, 0), v6 = assigned(0, 4);

	(void)state;
	assert_round_trip(&both);
	assert_round_trip(&v4);
	assert_round_trip(&v6);
	assert_bytes(&both, header,
		     "{\"resource\":\"" UUID "\",\"domain\":\"example.com\",\"proxy_ips\":["
		     "\"100.96.0.1\",\"100.96.0.2\",\"100.96.0.3\",\"100.96.0.4\","
		     "\"fd00:2021:1111:8000::\",\"fd00:2021:1111:8000::1\","
		     "\"fd00:2021:1111:8000::2\",\"fd00:2021:1111:8000::3\"]}");
}

/* W-02: DomainStatus comes back as it went. W-06: the words are "Active" and "Inactive". */
static void domain_status_round_trip(void **state)
{
	const uint8_t header[8] = {1, 0, 0, 0, 0, 0, 0, 0};
	struct control_message msg = {
		.event = CONTROL_DOMAIN_STATUS,
		.resource = UUID,
		.domain = name("example.com"),
		.status = CONTROL_ACTIVE,
	};

	(void)state;
	assert_round_trip(&msg);
	assert_bytes(&msg, header,
		     "{\"resource\":\"" UUID
		     "\",\"domain\":\"example.com\",\"status\":\"Active\"}");
	msg.status = CONTROL_INACTIVE;
	assert_round_trip(&msg);
	assert_bytes(&msg, header,
		     "{\"resource\":\"" UUID
		     "\",\"domain\":\"example.com\",\"status\":\"Inactive\"}");
}

/* W-03: a status that is not known is Inactive; W-06: case matters. */
static void unknown_status_is_inactive(void **state)
{
	static const char *const words[] = {"what_is_this", "active", "ACTIVE", "", "Active "};
	struct control_message msg;
	char payload[256];

	(void)state;
	for (size_t i = 0; i < N(words); i++) {
		snprintf(payload, sizeof(payload),
			 "{\"resource\":\"" UUID "\",\"domain\":\"example.com\",\"status\":\"%s\"}",
			 words[i]);
		msg.status = CONTROL_ACTIVE;
		assert_int_equal(decode(1, payload, &msg), 0);
		assert_int_equal(msg.status, CONTROL_INACTIVE);
	}
}

/* W-04: the longest message there can be fits into 1280 bytes. */
static void longest_message_fits(void **state)
{
	struct control_message msg = assigned(0, 0);
	uint8_t buf[CONTROL_MESSAGE_MAX];
	char text[DNAME_LEN_MAX + 1];
	size_t len;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 63; i < sizeof(text) - 1; i += 64)
		text[i] = '.';
	msg.domain = name(text);
	assert_int_equal(msg.domain.len, DNAME_LEN_MAX);
	for (unsigned int i = 0; i < 8; i++) {
		struct fq_addr base = addr("fd00:2021:1111:8000:ffff:ffff:ffff:fff0");

		msg.proxies[msg.proxy_count++] = ipaddr_add(&base, i);
	}
	assert_int_equal(control_encode(&msg, buf, sizeof(buf), &len), 0);
	assert_true(len <= CONTROL_MESSAGE_MAX);
	assert_round_trip(&msg);
	assert_int_equal(control_encode(&msg, buf, len - 1, &len), -EMSGSIZE);
	assert_int_equal(control_encode(&msg, buf, 7, &len), -EMSGSIZE);
}

/* W-05: unknown events are told apart from what is malformed. */
static void unknown_event_is_not_supported(void **state)
{
	struct control_message msg = {.generation = 7};

	(void)state;
	assert_int_equal(decode(CONTROL_EVENT_COUNT, "{}", &msg), -EOPNOTSUPP);
	assert_int_equal(decode(255, "", &msg), -EOPNOTSUPP);
	assert_int_equal(msg.generation, 7);
}

/* W-05: shorter than the header is no control message, bad JSON is dropped. */
static void malformed_messages_are_refused(void **state)
{
	static const char *const status[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"resource\":\"" UUID "\",\"domain\":\"example.com\"}",
		"{\"resource\":\"" UUID "\",\"status\":\"Active\"}",
		"{\"domain\":\"example.com\",\"status\":\"Active\"}",
		"{\"resource\":1,\"domain\":\"example.com\",\"status\":\"Active\"}",
		"{\"resource\":\"" UUID "\",\"domain\":1,\"status\":\"Active\"}",
		"{\"resource\":\"" UUID "\",\"domain\":\"example.com\",\"status\":true}",
		"{\"resource\":\"" UUID "0\",\"domain\":\"example.com\",\"status\":\"Active\"}",
		"{\"resource\":\"0000000-00000-0000-0000-000000000065\",\"domain\":\"a.b\","
		"\"status\":\"Active\"}",
		"{\"resource\":\"g0000000-0000-0000-0000-000000000065\",\"domain\":\"a.b\","
		"\"status\":\"Active\"}",
		"{\"resource\":\"" UUID "\",\"domain\":\"\",\"status\":\"Active\"}",
		"{\"resource\":\"" UUID "\",\"domain\":\"a..b\",\"status\":\"Active\"}",
		"{\"resource\":\"" UUID "\",\"domain\":\"a b\",\"status\":\"Active\"}",
		"{\"resource\":\"" UUID "\",\"domain\":\"a\\u0000b\",\"status\":\"Active\"}",
		"{\"resource\":\"" UUID
		"\",\"domain\":\"a\",\"domain\":\"b\",\"status\":\"Active\"}",
		"{\"resource\":\"" UUID "\",\"domain\":\"a\",\"status\":\"Active\"}x",
	};
	struct control_message msg;
	uint8_t bytes[8] = {0};

	(void)state;
	for (size_t i = 0; i < N(status); i++)
		if (decode(1, status[i], &msg) != -EBADMSG)
			fail_msg("accepted: %s", status[i]);
	for (size_t len = 0; len < 8; len++)
		assert_int_equal(control_decode(bytes, len, &msg), -EBADMSG);
	assert_int_equal(control_decode(bytes, 8, &msg), -EBADMSG);
}

static void bad_proxy_lists_are_refused(void **state)
{
	static const char *const lists[] = {
		"null",
		"{}",
		"\"100.96.0.1\"",
		"[]",
		"[\"100.96.0.1\",\"100.96.0.2\",\"100.96.0.3\"]",
		"[\"100.96.0.1\",\"100.96.0.2\",\"100.96.0.3\",\"100.96.0.4\",\"100.96.0.5\"]",
		"[\"100.96.0.1\",\"100.96.0.2\",\"100.96.0.3\",4]",
		"[\"100.96.0.1\",\"100.96.0.2\",\"100.96.0.3\",\"100.96.0\"]",
		"[\"100.96.0.1\",\"100.96.0.2\",\"100.96.0.3\",\"100.96.0.1\"]",
		"[\"::1\",\"::2\",\"::3\",\"0:0::1\"]",
		"[\"::1\",\"::2\",\"::3\",\"::4\",\"::5\",\"::6\",\"::7\",\"::8\",\"::9\"]",
	};
	struct control_message msg;
	char payload[512];

	(void)state;
	for (size_t i = 0; i < N(lists); i++) {
		snprintf(payload, sizeof(payload),
			 "{\"resource\":\"" UUID "\",\"domain\":\"example.com\",\"proxy_ips\":%s}",
			 lists[i]);
		if (decode(0, payload, &msg) != -EBADMSG)
			fail_msg("accepted: %s", lists[i]);
	}
}

static void oversize_message_is_refused(void **state)
{
	uint8_t bytes[CONTROL_MESSAGE_MAX + 1];
	const char *payload = "{\"resource\":\"" UUID "\",\"domain\":\"a\",\"status\":\"Active\"}";
	struct control_message msg;

	(void)state;
	memset(bytes, ' ', sizeof(bytes));
	memset(bytes, 0, 8);
	bytes[0] = 1;
	memcpy(bytes + 8, payload, strlen(payload));
	assert_int_equal(control_decode(bytes, CONTROL_MESSAGE_MAX, &msg), 0);
	assert_int_equal(control_decode(bytes, CONTROL_MESSAGE_MAX + 1, &msg), -EBADMSG);
}

static void header_bytes_of_no_meaning_are_ignored(void **state)
{
	const uint8_t bytes[] = {2, 0xff, 0xff, 0xff, 0, 0, 1, 0};
	struct control_message msg;

	(void)state;
	assert_int_equal(control_decode(bytes, sizeof(bytes), &msg), 0);
	assert_int_equal(msg.event, CONTROL_GOODBYE);
	assert_int_equal(msg.generation, 256);
}

static void goodbye_is_a_header(void **state)
{
	struct control_message msg = {.event = CONTROL_GOODBYE};

	(void)state;
	assert_bytes(&msg, (const uint8_t[8]){2}, "");
}

/* Probe and ProbeReply are a header with a number. */
static void probes_are_a_numbered_header(void **state)
{
	struct control_message probe = {.event = CONTROL_PROBE, .generation = 0x00c0ffee};
	struct control_message reply = {.event = CONTROL_PROBE_REPLY, .generation = 1}, back;

	(void)state;
	assert_bytes(&probe, (const uint8_t[8]){3, 0, 0, 0, 0, 0xc0, 0xff, 0xee}, "");
	assert_bytes(&reply, (const uint8_t[8]){4, 0, 0, 0, 0, 0, 0, 1}, "");
	assert_round_trip(&probe);
	assert_round_trip(&reply);
	/* A gateway's reply says whether its translations are those of before. */
	reply.incarnation = 0x1234;
	assert_bytes(&reply, (const uint8_t[8]){4, 0, 0x12, 0x34, 0, 0, 0, 1}, "");
	assert_int_equal(control_decode((const uint8_t[8]){4, 0, 0x12, 0x34, 0, 0, 0, 1}, 8, &back),
			 0);
	assert_int_equal(back.incarnation, 0x1234);
	assert_int_equal(control_decode((const uint8_t[8]){3, 0, 0x12, 0x35, 0, 0, 0, 1}, 8, &back),
			 0);
	assert_int_equal(back.incarnation, 0x1235);
	assert_int_equal(control_decode((const uint8_t[8]){2, 0, 0x12, 0x35, 0, 0, 0, 1}, 8, &back),
			 0);
	assert_int_equal(back.incarnation, 0);

	for (uint8_t event = CONTROL_PROBE; event <= CONTROL_PROBE_REPLY; event++) {
		const uint8_t nameless[8] = {event};

		assert_int_equal(control_decode(nameless, 8, &back), -EBADMSG);
	}
	probe.generation = 0;
	assert_int_equal(control_encode(&probe, (uint8_t[8]){0}, 8, &(size_t){0}), -EINVAL);
}

static void events_have_names(void **state)
{
	(void)state;
	assert_string_equal(control_event_name(CONTROL_ASSIGNED_IPS), "assigned_ips");
	assert_string_equal(control_event_name(CONTROL_DOMAIN_STATUS), "domain_status");
	assert_string_equal(control_event_name(CONTROL_GOODBYE), "goodbye");
	assert_string_equal(control_event_name(CONTROL_PROBE), "probe");
	assert_string_equal(control_event_name(CONTROL_PROBE_REPLY), "probe_reply");
}

static void names_and_ids_become_canonical(void **state)
{
	struct control_message msg;

	(void)state;
	assert_int_equal(
		decode(1,
		       "{\"resource\":\"5F0A7C1E-6D0F-4F0E-9D3B-2F6F0C1F7A10\","
		       "\"domain\":\"WWW.Corp.Example.\",\"status\":\"Active\",\"more\":[1]}",
		       &msg),
		0);
	assert_string_equal(msg.resource, "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10");
	assert_string_equal(msg.domain.text, "www.corp.example");
	assert_int_equal(msg.status, CONTROL_ACTIVE);
}

static void invalid_messages_are_not_written(void **state)
{
	struct control_message three = assigned(3, 0), nameless = assigned(4, 0);
	struct control_message twice = assigned(4, 0), event = assigned(4, 0);
	uint8_t buf[CONTROL_MESSAGE_MAX];
	size_t len;

	(void)state;
	nameless.domain.len = 0;
	twice.proxies[3] = twice.proxies[0];
	event.event = 9;
	assert_int_equal(control_encode(&three, buf, sizeof(buf), &len), -EINVAL);
	assert_int_equal(control_encode(&nameless, buf, sizeof(buf), &len), -EINVAL);
	assert_int_equal(control_encode(&twice, buf, sizeof(buf), &len), -EINVAL);
	assert_int_equal(control_encode(&event, buf, sizeof(buf), &len), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(assigned_ips_round_trip),
		cmocka_unit_test(domain_status_round_trip),
		cmocka_unit_test(unknown_status_is_inactive),
		cmocka_unit_test(longest_message_fits),
		cmocka_unit_test(unknown_event_is_not_supported),
		cmocka_unit_test(malformed_messages_are_refused),
		cmocka_unit_test(bad_proxy_lists_are_refused),
		cmocka_unit_test(oversize_message_is_refused),
		cmocka_unit_test(header_bytes_of_no_meaning_are_ignored),
		cmocka_unit_test(goodbye_is_a_header),
		cmocka_unit_test(probes_are_a_numbered_header),
		cmocka_unit_test(events_have_names),
		cmocka_unit_test(names_and_ids_become_canonical),
		cmocka_unit_test(invalid_messages_are_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
