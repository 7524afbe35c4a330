/* SPDX-License-Identifier: BSD-2-Clause */
/* Domain names in canonical form, see dname.h. */
#include "core/dname.h"

#include <errno.h>
#include <string.h>

#include <sodium/crypto_shorthash.h>

_Static_assert(crypto_shorthash_KEYBYTES == DNAME_KEY_LEN, "SipHash key length");

/* The canonical form of a byte of a label; 0: not allowed in one. */
static char canonical_byte(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
		return (char)c;
	return 0;
}

int dname_from_bytes(const char *bytes, size_t len, struct dname *ret_name)
{
	struct dname name = {0};
	size_t label = 0;

	if (len && bytes[len - 1] == '.')
		len--;
	if (len == 0 || len > DNAME_LEN_MAX)
		return -EINVAL;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == '.') {
			if (label == 0)
				return -EINVAL;
			label = 0;
			name.text[i] = '.';
			continue;
		}
		name.text[i] = canonical_byte((unsigned char)bytes[i]);
		if (!name.text[i] || ++label > DNAME_LABEL_MAX)
			return -EINVAL;
	}
	if (label == 0)
		return -EINVAL;
	name.len = (uint8_t)len;
	*ret_name = name;
	return 0;
}

int dname_from_text(const char *text, struct dname *ret_name)
{
	return dname_from_bytes(text, strnlen(text, DNAME_LEN_MAX + 2), ret_name);
}

int dname_from_wire(const uint8_t *wire, size_t len, struct dname *ret_name)
{
	struct dname name = {0};
	size_t in = 0, out = 0;

	while (in < len && wire[in]) {
		size_t label = wire[in++];

		if (label > DNAME_LABEL_MAX || label > len - in)
			return -EINVAL;
		if (out + (out > 0) + label > DNAME_LEN_MAX)
			return -EINVAL;
		if (out)
			name.text[out++] = '.';
		for (; label; label--) {
			name.text[out] = canonical_byte(wire[in++]);
			if (!name.text[out++])
				return -EINVAL;
		}
	}
	if (in >= len || out == 0)
		return -EINVAL;
	name.len = (uint8_t)out;
	*ret_name = name;
	return 0;
}

bool dname_equal(const struct dname *a, const struct dname *b)
{
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

uint32_t hash_bytes(const void *bytes, size_t len, const uint8_t key[DNAME_KEY_LEN])
{
	uint8_t out[crypto_shorthash_BYTES];
	uint32_t hash;

	crypto_shorthash(out, bytes, len, key);
	memcpy(&hash, out, sizeof(hash));
	return hash;
}

uint32_t dname_hash(const struct dname *name, const uint8_t key[DNAME_KEY_LEN])
{
	return hash_bytes(name->text, name->len, key);
}
