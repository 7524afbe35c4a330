/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an answer that the stub resolver makes itself (RFC 1035 4.1, RFC 6891).
 *
 * Messages are ldns's. Those that clients get by the thousand, the addresses of a name or that
 * there are none, differ between names by a few bytes only: they are made once by ldns, for each
 * form, and then written from that. Both ways give the same bytes. Used by the stub; pure but for
 * what it keeps of the forms, one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ipaddr.h"
#include "core/dname.h"

struct dnswire_message;

struct answer {
	unsigned int rcode; /* with the extended bits (RFC 6891 6.1.3) */
	bool authoritative;
	unsigned int count; /* of addresses, all of the question's family */
	const struct fq_addr *addresses;
	const struct dname *ptr; /* NULL: none */
};

/*
 * Make an answer to a query.
 *
 * @q:         the query, at least its header is well-formed; its question is repeated, case and all
 * @ret_bytes: malloc'ed, the caller's
 *
 * Return: 0; -ENOMEM.
 */
int answer_make(const struct dnswire_message *q, const struct answer *answer, uint8_t **ret_bytes,
		size_t *ret_len);

/* The same by ldns alone. */
int answer_build(const struct dnswire_message *q, const struct answer *answer, uint8_t **ret_bytes,
		 size_t *ret_len);
