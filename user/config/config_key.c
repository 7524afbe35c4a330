/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key files of the configuration: 32 bytes as text, for nobody's eyes but the owner's.
 *
 * What a file holds never appears in an error, and is wiped from every buffer on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "config/config_sections.h"
#include "config/config_values.h"

#define TEXT_MAX 256 /* more than any form of a key takes */

#define HOW_TO_MAKE "(umask 077; head -c 32 /dev/urandom | base64 > FILE)"

/* The text of a key file without spaces and newlines around it. Return: its length. */
static size_t strip(char *text, size_t len)
{
	static const char space[] = " \t\r\n";
	size_t from = 0;

	while (len > 0 && memchr(space, text[len - 1], sizeof(space) - 1))
		len--;
	while (from < len && memchr(space, text[from], sizeof(space) - 1))
		from++;
	memmove(text, text + from, len - from);
	return len - from;
}

/* Base64 with or without its padding, or 64 hex digits. Return: whether it is a key. */
static bool decode(const char *text, size_t len, uint8_t key[CONFIG_KEY_LEN])
{
	int variant = len > 0 && text[len - 1] == '=' ? sodium_base64_VARIANT_ORIGINAL
						      : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
	size_t got = 0;

	if (len == 2 * CONFIG_KEY_LEN)
		return sodium_hex2bin(key, CONFIG_KEY_LEN, text, len, NULL, &got, NULL) == 0 &&
		       got == CONFIG_KEY_LEN;
	return sodium_base642bin(key, CONFIG_KEY_LEN, text, len, NULL, &got, NULL, variant) == 0 &&
	       got == CONFIG_KEY_LEN;
}

/* A file that others can read is no secret: the key in it may be known already. */
static int check_file(struct reader *rd, yaml_node_t *node, const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return reader_error(rd, node, "%s cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return reader_error(rd, node, "%s is no file, expected one that holds a key", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return reader_error(rd, node, "%s belongs to somebody else: chown root %s", path,
				    path);
	if (st.st_mode & 077)
		return reader_error(
			rd, node,
			"%s is open to others (mode %04o), expected 0600: chmod 600 %s, "
			"and a new key if others may have read it",
			path, st.st_mode & 07777, path);
	return 0;
}

int read_key_file(struct reader *rd, yaml_node_t *node, const struct key *key, void *field)
{
	struct config_key *k = field;
	char text[TEXT_MAX];
	_cleanup_(closep) int fd = -1;
	ssize_t len;
	bool good;
	int r;

	r = read_path(rd, node, key, k->file);
	if (r < 0)
		return r;
	fd = open(k->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return reader_error(rd, node,
				    "%s does not exist; make it on one side with %s "
				    "and copy it to the other",
				    k->file, HOW_TO_MAKE);
	if (fd < 0)
		return reader_error(rd, node, "%s cannot be read: %s", k->file, strerror(errno));
	r = check_file(rd, node, k->file, fd);
	if (r < 0)
		return r;
	len = read(fd, text, sizeof(text));
	if (len < 0)
		return reader_error(rd, node, "%s cannot be read: %s", k->file, strerror(errno));
	good = len < TEXT_MAX && decode(text, strip(text, (size_t)len), k->bytes);
	explicit_bzero(text, sizeof(text));
	if (!good)
		return reader_error(rd, node,
				    "%s holds no key, expected one line, 32 bytes as "
				    "base64 or as 64 hex digits, as made with %s",
				    k->file, HOW_TO_MAKE);
	k->given = true;
	return 0;
}
