/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers from forms are those that the library makes, whatever was asked (core/answer.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/answer.h"
#include "core/dnswire.h"

#define TYPE_A     1
#define TYPE_AAAA  28
#define TYPE_HTTPS 65
#define ADDRESSES  4
#define RUNS       20000

static unsigned int seed = 1;

static unsigned int below(unsigned int n)
{
	return (unsigned int)rand_r(&seed) % n;
}

/* A name of any bytes, of up to three labels; now and then the root. Return: its length. */
static size_t put_name(uint8_t *p)
{
	size_t at = 0;

	for (unsigned int labels = below(4); labels; labels--) {
		uint8_t len = (uint8_t)(1 + below(63));

		p[at++] = len;
		for (; len; len--)
			p[at++] = (uint8_t)below(256);
	}
	p[at++] = 0;
	return at;
}

/* A query of any flags but QR, with and without EDNS. Return: its length. */
static size_t put_query(uint8_t *p, uint16_t qtype)
{
	bool edns = below(2);
	size_t at = DNSWIRE_HEADER_LEN;

	memset(p, 0, DNSWIRE_HEADER_LEN);
	dnswire_put16(p, (uint16_t)below(65536));
	dnswire_put16(p + 2, (uint16_t)(below(65536) & ~(DNSWIRE_QR | DNSWIRE_OPCODE)));
	p[5] = 1;
	p[11] = edns;
	at += put_name(p + at);
	dnswire_put16(p + at, qtype);
	dnswire_put16(p + at + 2, DNSWIRE_CLASS_IN);
	at += 4;
	if (!edns)
		return at;
	memset(p + at, 0, 11);
	p[at + 2] = DNSWIRE_TYPE_OPT;
	dnswire_put16(p + at + 3, (uint16_t)below(65536));
	p[at + 7] = below(2) ? 0x80 : 0;
	return at + 11;
}

static void fill(struct fq_addr *addresses, bool v4)
{
	for (unsigned int i = 0; i < ADDRESSES; i++) {
		for (size_t k = 0; k < sizeof(addresses[i].b); k++)
			addresses[i].b[k] = (uint8_t)below(256);
		addresses[i].b[0] = 0xfd;
		if (v4)
			memcpy(addresses[i].b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
	}
}

static void same_bytes(const struct dnswire_message *q, const struct answer *answer)
{
	uint8_t *made, *built;
	size_t made_len, built_len;

	assert_int_equal(answer_make(q, answer, &made, &made_len), 0);
	assert_int_equal(answer_build(q, answer, &built, &built_len), 0);
	assert_int_equal(made_len, built_len);
	assert_memory_equal(made, built, built_len);
	free(made);
	free(built);
}

/* D-01: of every form: addresses of both families, none, other types, another number of them. */
static void forms_are_the_librarys_answers(void **state)
{
	static const uint16_t types[] = {TYPE_A, TYPE_AAAA, TYPE_HTTPS};

	(void)state;
	for (unsigned int run = 0; run < RUNS; run++) {
		uint16_t qtype = types[below(3)];
		struct fq_addr addresses[ADDRESSES];
		struct answer answer = {.authoritative = true, .addresses = addresses};
		struct dnswire_message q;
		uint8_t query[512];
		size_t len = put_query(query, qtype);

		fill(addresses, qtype == TYPE_A);
		if (qtype != TYPE_HTTPS && below(4))
			answer.count = below(8) ? ADDRESSES : 1 + below(ADDRESSES);
		assert_int_equal(dnswire_parse(query, len, &q), 0);
		assert_int_equal(q.depth, DNSWIRE_WHOLE);
		same_bytes(&q, &answer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_are_the_librarys_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
