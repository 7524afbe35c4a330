/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading DNS messages in wire format (RFC 1035 4.1, RFC 6891): header, one question, where
 * records and their TTLs stand. Unpacks nothing, reads nothing out of bounds. Used by the
 * stub and the cache; pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNSWIRE_HEADER_LEN 12
#define DNSWIRE_NAME_MAX   255 /* RFC 1035 2.3.4 */

#define DNSWIRE_QR     0x8000
#define DNSWIRE_OPCODE 0x7800
#define DNSWIRE_AA     0x0400
#define DNSWIRE_TC     0x0200
#define DNSWIRE_RD     0x0100
#define DNSWIRE_RA     0x0080
#define DNSWIRE_AD     0x0020
#define DNSWIRE_CD     0x0010
#define DNSWIRE_RCODE  0x000f

#define DNSWIRE_TYPE_OPT 41
#define DNSWIRE_CLASS_IN 1

/* How far a message is well-formed. */
enum dnswire_depth {
	DNSWIRE_HEADER,
	DNSWIRE_QUESTION, /* exactly one question, its name uncompressed */
	DNSWIRE_WHOLE,    /* all records, at most one OPT */
};

struct dnswire_message {
	const uint8_t *bytes;
	size_t len;
	enum dnswire_depth depth;

	uint16_t id, flags;
	uint16_t qdcount, ancount, nscount, arcount;

	/* DNSWIRE_QUESTION: the name stands at DNSWIRE_HEADER_LEN. */
	size_t name_len; /* with the root label */
	size_t question_end;
	uint16_t qtype, qclass;

	/* DNSWIRE_WHOLE */
	size_t opt_at, opt_len; /* the OPT record; len 0: no EDNS */
	uint16_t udp_size;
	uint8_t extended_rcode, version;
	bool dnssec_ok; /* RFC 3225 */
	bool has_options;
};

struct dnswire_record {
	uint16_t type;
	uint16_t class;
	size_t ttl_at;  /* 4 bytes */
	uint32_t ttl_s; /* RFC 2181 8: 0 if the top bit is set */
	size_t rdata_at, rdata_len;
};

/* Read a message as far as it is well-formed. Return: 0; -EBADMSG: not even a header. */
int dnswire_parse(const uint8_t *bytes, size_t len, struct dnswire_message *ret_message);

/*
 * Read the record at *@at and move on behind it; begin at question_end.
 *
 * Return: 0; -EBADMSG: truncated.
 */
int dnswire_next(const struct dnswire_message *m, size_t *at, struct dnswire_record *ret_record);

uint16_t dnswire_get16(const uint8_t *p);
void dnswire_put16(uint8_t *p, uint16_t v);
void dnswire_put32(uint8_t *p, uint32_t v);
