/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worked examples of docs/control-protocol.md are what this code writes, and it reads them.
 * An example is a block that begins with "```hex NAME". Run from the top of the source tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/ipaddr.h"
#include "core/control.h"
#include "core/seal.h"

#define DOCUMENT      "docs/control-protocol.md"
#define RESOURCE      "5f0a7c1e-6d0f-4f0e-9d3b-2f6f0c1f7a10"
#define EDGE_EPOCH    1767225600000000ULL /* 2026-01-01T00:00:00Z, in microseconds */
#define GATEWAY_EPOCH 1767225661000000ULL

struct bytes {
	uint8_t b[CONTROL_MESSAGE_MAX + SEAL_TRAILER_BYTES];
	size_t len;
};

/* Both ends after the first Probe and its reply. */
struct talk {
	struct seal edge, gateway;
	struct bytes question, answer;
};

static char *document;

static int read_document(void **state)
{
	_cleanup_(fclosep) FILE *f = fopen(DOCUMENT, "re");
	size_t cap = 1 << 20, len;

	(void)state;
	document = calloc(1, cap);
	if (!f || !document) {
		print_error("cannot read %s: run from the top of the source tree\n", DOCUMENT);
		return -1;
	}
	len = fread(document, 1, cap - 1, f);
	return len > 0 && len < cap - 1 ? 0 : -1;
}

static int forget_document(void **state)
{
	(void)state;
	free(document);
	return 0;
}

static void print_dump(const char *name, const struct bytes *d)
{
	print_message("```hex %s\n", name);
	for (size_t i = 0; i < d->len; i += 16) {
		print_message("%04zx ", i);
		for (size_t k = i; k < i + 16; k++)
			k < d->len ? print_message(" %02x", d->b[k]) : print_message("   ");
		print_message("  ");
		for (size_t k = i; k < i + 16 && k < d->len; k++)
			print_message("%c", d->b[k] > 31 && d->b[k] < 127 ? d->b[k] : '.');
		print_message("\n");
	}
	print_message("```\n");
}

/* The example's bytes: in each line, after the offset, up to 16 pairs of digits. */
static struct bytes example(const char *name)
{
	struct bytes d = {.len = 0};
	char mark[64];
	const char *line;

	snprintf(mark, sizeof(mark), "```hex %s\n", name);
	line = strstr(document, mark);
	if (!line)
		return d;
	line = strchr(line, '\n') + 1;
	while (strncmp(line, "```", 3) != 0) {
		const char *at = line + 5; /* "0000 " */
		unsigned int byte;

		/* A pair begins with one blank, the text at the end with more. */
		for (; sscanf(at, " %2x", &byte) == 1 && at[0] == ' ' && at[1] != ' '; at += 3) {
			assert_true(d.len < sizeof(d.b));
			d.b[d.len++] = (uint8_t)byte;
		}
		line = strchr(line, '\n') + 1;
	}
	return d;
}

static void assert_example(const char *name, const struct bytes *written)
{
	struct bytes d = example(name);

	if (d.len == written->len && memcmp(d.b, written->b, d.len) == 0)
		return;
	print_dump(name, written);
	fail_msg("example %s in %s is not what is written", name, DOCUMENT);
}

static struct bytes encode(const struct control_message *msg)
{
	struct bytes d;

	assert_int_equal(control_encode(msg, d.b, CONTROL_MESSAGE_MAX, &d.len), 0);
	return d;
}

static struct control_message message(enum control_event event, uint32_t generation)
{
	struct control_message msg = {.event = event, .generation = generation};

	if (event == CONTROL_ASSIGNED_IPS || event == CONTROL_DOMAIN_STATUS) {
		strcpy(msg.resource, RESOURCE);
		assert_int_equal(dname_from_text("www.corp.example", &msg.domain), 0);
	}
	return msg;
}

static struct control_message assigned(bool both)
{
	struct control_message msg = message(CONTROL_ASSIGNED_IPS, 258);
	struct fq_addr v4, v6;

	assert_int_equal(ipaddr_parse("100.96.0.4", &v4), 0);
	assert_int_equal(ipaddr_parse("fd00:2021:1111:8000::4", &v6), 0);
	for (unsigned int i = 0; i < 4; i++)
		msg.proxies[msg.proxy_count++] = ipaddr_add(&v4, i);
	for (unsigned int i = 0; both && i < 4; i++)
		msg.proxies[msg.proxy_count++] = ipaddr_add(&v6, i);
	return msg;
}

static struct control_message status(enum control_status word)
{
	struct control_message msg = message(CONTROL_DOMAIN_STATUS, 258);

	msg.status = word;
	return msg;
}

static void assert_plain_example(const char *name, const struct control_message *msg)
{
	struct bytes d = encode(msg);
	struct control_message back;

	assert_example(name, &d);
	assert_int_equal(control_decode(d.b, d.len, &back), 0);
	assert_memory_equal(&back, msg, sizeof(back));
}

/* W-01, W-02: the bytes that the document shows. */
static void plain_examples_hold(void **state)
{
	struct control_message both = assigned(true), v4 = assigned(false);
	struct control_message active = status(CONTROL_ACTIVE), inactive = status(CONTROL_INACTIVE);
	struct control_message goodbye = message(CONTROL_GOODBYE, 0);
	struct control_message probe = message(CONTROL_PROBE, 0xc0ffee);
	struct control_message reply = message(CONTROL_PROBE_REPLY, 0xc0ffee);

	(void)state;
	assert_plain_example("assigned-ips", &both);
	assert_plain_example("assigned-ips-ipv4", &v4);
	assert_plain_example("domain-status-active", &active);
	assert_plain_example("domain-status-inactive", &inactive);
	assert_plain_example("goodbye", &goodbye);
	assert_plain_example("probe", &probe);
	assert_plain_example("probe-reply", &reply);
}

static struct bytes seal_it(struct seal *seal, uint64_t receiver, const struct control_message *msg)
{
	struct bytes d = encode(msg);

	assert_int_equal(seal_put(seal, receiver, d.b, d.len, sizeof(d.b), &d.len), 0);
	return d;
}

static enum seal_verdict open_it(struct seal *seal, const struct bytes *d)
{
	struct seal_opened opened;

	return seal_open(seal, d->b, d->len, &opened);
}

static struct talk talk(void)
{
	struct control_message probe = message(CONTROL_PROBE, 0xc0ffee);
	struct control_message reply = message(CONTROL_PROBE_REPLY, 0xc0ffee);
	uint8_t key[SEAL_KEY_BYTES];
	struct talk t;

	for (unsigned int i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	assert_int_equal(seal_init(&t.edge, SEAL_EDGE, key, EDGE_EPOCH), 0);
	assert_int_equal(seal_init(&t.gateway, SEAL_GATEWAY, key, GATEWAY_EPOCH), 0);
	t.question = seal_it(&t.edge, 0, &probe);
	assert_int_equal(open_it(&t.gateway, &t.question), SEAL_ASKED);
	t.answer = seal_it(&t.gateway, EDGE_EPOCH, &reply);
	assert_int_equal(open_it(&t.edge, &t.answer), SEAL_NEW_PEER);
	return t;
}

/* The keys of both directions, as the document derives them from 00 01 .. 1f. */
static void derived_keys_hold(void **state)
{
	struct talk t = talk();
	struct bytes to_gateway = {.len = SEAL_KEY_BYTES}, to_edge = {.len = SEAL_KEY_BYTES};

	(void)state;
	memcpy(to_gateway.b, t.edge.key_out, SEAL_KEY_BYTES);
	memcpy(to_edge.b, t.edge.key_in, SEAL_KEY_BYTES);
	assert_example("key-edge-to-gateway", &to_gateway);
	assert_example("key-gateway-to-edge", &to_edge);
}

/* W-07: the exchange of epochs and a sealed message, as the document tells them. */
static void sealed_examples_hold(void **state)
{
	struct control_message probe = message(CONTROL_PROBE, 1), v4 = assigned(false);
	struct control_message active = status(CONTROL_ACTIVE);
	struct talk t = talk();
	struct bytes d;

	(void)state;
	assert_example("sealed-1-probe", &t.question);
	assert_example("sealed-2-probe-reply", &t.answer);
	d = seal_it(&t.edge, GATEWAY_EPOCH, &probe);
	assert_example("sealed-3-probe", &d);
	assert_int_equal(open_it(&t.gateway, &d), SEAL_NEW_PEER);
	d = seal_it(&t.edge, GATEWAY_EPOCH, &v4);
	assert_example("sealed-4-assigned-ips", &d);
	assert_int_equal(open_it(&t.gateway, &d), SEAL_TAKEN);
	d = seal_it(&t.gateway, EDGE_EPOCH, &active);
	assert_example("sealed-5-domain-status", &d);
	assert_int_equal(open_it(&t.edge, &d), SEAL_TAKEN);
}

/* The numbers in the document's tables are those of the headers. */
static void numbers_hold(void **state)
{
	(void)state;
	assert_int_equal(CONTROL_ASSIGNED_IPS, 0);
	assert_int_equal(CONTROL_DOMAIN_STATUS, 1);
	assert_int_equal(CONTROL_GOODBYE, 2);
	assert_int_equal(CONTROL_PROBE, 3);
	assert_int_equal(CONTROL_PROBE_REPLY, 4);
	assert_int_equal(CONTROL_MESSAGE_MAX, 1280);
	assert_int_equal(SEAL_TRAILER_BYTES, 40);
	assert_int_equal(SEAL_WINDOW, 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_examples_hold),
		cmocka_unit_test(derived_keys_hold),
		cmocka_unit_test(sealed_examples_hold),
		cmocka_unit_test(numbers_hold),
	};

	return cmocka_run_group_tests(tests, read_document, forget_document);
}
