/* SPDX-License-Identifier: BSD-2-Clause */
/* Key files for tests of the configuration of two boxes, and what their examples begin with. Used
 * by test_config_two_box*.c. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"

#define HEX1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B641 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HEX2 "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* A directory of key files; "%" in a configuration stands for it. */
static char dir[] = "/tmp/fqdnat-test-config-XXXXXX";

static const struct {
	const char *name, *text;
	mode_t mode;
} files[] = {
	{"one", B641 "\n", 0600},
	{"one-hex", HEX1 "\n", 0400},
	{"one-bare", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", 0600},
	{"one-spaces", "\t " HEX1 " \r\n\n", 0600},
	{"two", HEX2 "\n", 0600},
	{"open", B641 "\n", 0640},
	{"world", B641 "\n", 0604},
	{"empty", "", 0600},
	{"short", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n", 0600},
	{"long", B641 B641, 0600},
	{"word", "correct horse battery staple\n", 0600},
	{"lines", HEX1 "\n" HEX2 "\n", 0600},
};

#define FILES (sizeof(files) / sizeof(files[0]))

static inline int make_files(void **state)
{
	char path[128];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	for (size_t i = 0; i < FILES; i++) {
		_cleanup_(closep) int fd = -1;
		size_t len = strlen(files[i].text);

		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, files[i].text, len) != (ssize_t)len ||
		    fchmod(fd, files[i].mode) < 0)
			return -1;
	}
	return 0;
}

static inline int remove_files(void **state)
{
	char path[128];

	(void)state;
	for (size_t i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		unlink(path);
	}
	return rmdir(dir);
}

/* @text with the directory for every '%'. */
static inline const char *expand(const char *text, char buf[4096])
{
	size_t n = 0;

	for (; *text; text++)
		n += (size_t)snprintf(buf + n, 4096 - n, *text == '%' ? "%s" : "%.1s",
				      *text == '%' ? dir : text);
	assert_true(n < 4096);
	return buf;
}

#define TUNNEL "control: {trusted: [10.9.0.0/24, \"fd09::/64\"]}\n"
#define DNS    "dns: {listen: [192.0.2.1]}"
#define EDGE   "interfaces: [lan0]\n" TUNNEL "edge:\n  " DNS "\n"
#define GW     "interfaces: [wan0]\n" TUNNEL "gateway:\n  listen: {address: 10.9.0.1}\n"
