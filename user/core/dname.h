/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domain names in canonical presentation form: lower case, no trailing dot, labels of letters,
 * digits, hyphens and underscores only (RFC 1035 2.3.1, RFC 8552 for the underscore).
 *
 * Every name inside the edge and the gateway is a struct dname; other names (escaped bytes,
 * spaces, the root) are refused here and so match no resource. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNAME_LEN_MAX   253 /* RFC 1035 2.3.4: 255 bytes on the wire */
#define DNAME_LABEL_MAX 63
#define DNAME_KEY_LEN   16 /* of dname_hash */

struct dname {
	uint8_t len;    /* 1..DNAME_LEN_MAX */
	char text[255]; /* NUL-terminated; bytes after the name are zero */
};

/*
 * Parse a name, with or without a trailing dot, in any case.
 *
 * Return: 0; -EINVAL: empty, too long, an empty or too long label, a byte that is not LDH or '_'.
 */
int dname_from_text(const char *text, struct dname *ret_name);

/* The same for @len bytes that need not be terminated. */
int dname_from_bytes(const char *bytes, size_t len, struct dname *ret_name);

/*
 * Parse an uncompressed name in wire format (RFC 1035 3.1).
 *
 * @wire, @len: the name with its root label; bytes after it are ignored
 *
 * Return: 0; -EINVAL as above, also for a truncated or compressed name.
 */
int dname_from_wire(const uint8_t *wire, size_t len, struct dname *ret_name);

bool dname_equal(const struct dname *a, const struct dname *b);

/*
 * Keyed hash (SipHash-2-4) of anything, and of a name: they come from strangers, who must not
 * choose the buckets.
 *
 * @key: DNAME_KEY_LEN random bytes
 */
uint32_t hash_bytes(const void *bytes, size_t len, const uint8_t key[DNAME_KEY_LEN]);
uint32_t dname_hash(const struct dname *name, const uint8_t key[DNAME_KEY_LEN]);
