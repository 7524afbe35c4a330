/* SPDX-License-Identifier: BSD-2-Clause */
/* DNS messages in wire format, see dnswire.h. */
#include "core/dnswire.h"

#include <errno.h>
#include <string.h>

#define LABEL_POINTER 0xc0   /* RFC 1035 4.1.4 */
#define OPT_DO        0x8000 /* RFC 3225: in the low half of OPT's TTL */

uint16_t dnswire_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)dnswire_get16(p) << 16 | dnswire_get16(p + 2);
}

void dnswire_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void dnswire_put32(uint8_t *p, uint32_t v)
{
	dnswire_put16(p, (uint16_t)(v >> 16));
	dnswire_put16(p + 2, (uint16_t)v);
}

/* Move *@at behind a name. @pointer: whether it may end in one. Return: 0; -EBADMSG. */
static int skip_name(const struct dnswire_message *m, size_t *at, bool pointer)
{
	size_t i = *at, start = *at;

	while (i < m->len) {
		uint8_t label = m->bytes[i];

		if ((label & LABEL_POINTER) == LABEL_POINTER) {
			if (!pointer || m->len - i < 2)
				return -EBADMSG;
			*at = i + 2;
			return 0;
		}
		if (label & LABEL_POINTER)
			return -EBADMSG;
		i += 1U + label;
		if (i - start > DNSWIRE_NAME_MAX)
			return -EBADMSG;
		if (label == 0) {
			*at = i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int parse_question(struct dnswire_message *m)
{
	size_t at = DNSWIRE_HEADER_LEN;

	if (m->qdcount != 1 || skip_name(m, &at, false) < 0 || m->len - at < 4)
		return -EBADMSG;
	m->name_len = at - DNSWIRE_HEADER_LEN;
	m->qtype = dnswire_get16(m->bytes + at);
	m->qclass = dnswire_get16(m->bytes + at + 2);
	m->question_end = at + 4;
	return 0;
}

int dnswire_next(const struct dnswire_message *m, size_t *at, struct dnswire_record *ret_record)
{
	struct dnswire_record r;
	size_t i = *at;

	if (skip_name(m, &i, true) < 0 || m->len - i < 10)
		return -EBADMSG;
	r.type = dnswire_get16(m->bytes + i);
	r.class = dnswire_get16(m->bytes + i + 2);
	r.ttl_at = i + 4;
	r.ttl_s = get32(m->bytes + i + 4);
	if (r.ttl_s > INT32_MAX)
		r.ttl_s = 0;
	r.rdata_len = dnswire_get16(m->bytes + i + 8);
	r.rdata_at = i + 10;
	if (m->len - r.rdata_at < r.rdata_len)
		return -EBADMSG;
	*at = r.rdata_at + r.rdata_len;
	*ret_record = r;
	return 0;
}

static int parse_opt(struct dnswire_message *m, size_t at, const struct dnswire_record *r)
{
	if (m->opt_len || m->bytes[at] != 0) /* RFC 6891 6.1.1: one, owned by the root */
		return -EBADMSG;
	m->opt_at = at;
	m->opt_len = r->rdata_at + r->rdata_len - at;
	m->udp_size = r->class;
	m->extended_rcode = m->bytes[r->ttl_at];
	m->version = m->bytes[r->ttl_at + 1];
	m->dnssec_ok = dnswire_get16(m->bytes + r->ttl_at + 2) & OPT_DO;
	m->has_options = r->rdata_len > 0;
	return 0;
}

static int parse_records(struct dnswire_message *m)
{
	unsigned int before = m->ancount + m->nscount, count = before + m->arcount;
	struct dnswire_message copy = *m;
	size_t at = m->question_end;

	for (unsigned int i = 0; i < count; i++) {
		struct dnswire_record r;
		size_t start = at;

		if (dnswire_next(m, &at, &r) < 0)
			return -EBADMSG;
		if (i >= before && r.type == DNSWIRE_TYPE_OPT && parse_opt(&copy, start, &r) < 0)
			return -EBADMSG;
	}
	*m = copy;
	return 0;
}

int dnswire_parse(const uint8_t *bytes, size_t len, struct dnswire_message *ret_message)
{
	struct dnswire_message m = {.bytes = bytes, .len = len, .depth = DNSWIRE_HEADER};

	if (len < DNSWIRE_HEADER_LEN)
		return -EBADMSG;
	m.id = dnswire_get16(bytes);
	m.flags = dnswire_get16(bytes + 2);
	m.qdcount = dnswire_get16(bytes + 4);
	m.ancount = dnswire_get16(bytes + 6);
	m.nscount = dnswire_get16(bytes + 8);
	m.arcount = dnswire_get16(bytes + 10);
	if (parse_question(&m) == 0) {
		m.depth = DNSWIRE_QUESTION;
		if (parse_records(&m) == 0)
			m.depth = DNSWIRE_WHOLE;
	}
	*ret_message = m;
	return 0;
}
