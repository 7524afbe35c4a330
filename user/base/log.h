/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: one event, one line, to stderr or to the journal.
 *
 * Used by daemon/ and cli/ only; libraries return errors, they never log. Levels are those
 * of syslog (RFC 5424 6.2.1): LOG_ERR an operator must act, LOG_WARNING we went on, LOG_INFO
 * state changes, LOG_DEBUG the rest. An event is a message that is always the same text, and
 * fields that vary:
 *
 *	log_event(LOG_INFO, "domain confirmed", log_str("domain", name), log_uint("held", n));
 *
 *	text     info: domain confirmed domain=www.corp.example held=3
 *	json     {"time":"2026-01-31T12:00:00.123Z","level":"info","message":"domain confirmed",...}
 *	journal  MESSAGE, PRIORITY and FQDNAT_DOMAIN, FQDNAT_HELD as fields of their own
 *
 * Strings may come from outside: control characters and invalid UTF-8 are escaped, long ones are
 * cut, a line never contains another line. What an application can cause is logged by
 * log_limited(), which is bounded for each place in the source.
 *
 * Not thread-safe: the daemon has one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "base/instant.h"

#define LOG_VALUE_MAX  512 /* bytes of a string that are logged; the rest is cut */
#define LOG_FIELDS_MAX 16

enum log_format {
	LOG_FORMAT_AUTO, /* journal if stderr is connected to it (JOURNAL_STREAM), else text */
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
	LOG_FORMAT_JOURNAL,
};

enum log_type {
	LOG_TYPE_END, /* of the fields */
	LOG_TYPE_STRING,
	LOG_TYPE_INT,
	LOG_TYPE_UINT,
	LOG_TYPE_BOOL,
	LOG_TYPE_ERRNO,
};

struct log_field {
	const char *key; /* lower case letters, digits and '_' */
	enum log_type type;
	size_t len; /* of a string */
	union {
		const char *string; /* NULL: JSON null, "-" in text */
		int64_t i;
		uint64_t u;
	};
};

static inline struct log_field log_bytes(const char *key, const void *bytes, size_t len)
{
	return (struct log_field){.key = key, .type = LOG_TYPE_STRING, .len = len, .string = bytes};
}

static inline struct log_field log_str(const char *key, const char *value)
{
	return log_bytes(key, value, value ? __builtin_strlen(value) : 0);
}

static inline struct log_field log_int(const char *key, int64_t value)
{
	return (struct log_field){.key = key, .type = LOG_TYPE_INT, .i = value};
}

static inline struct log_field log_uint(const char *key, uint64_t value)
{
	return (struct log_field){.key = key, .type = LOG_TYPE_UINT, .u = value};
}

static inline struct log_field log_bool(const char *key, bool value)
{
	return (struct log_field){.key = key, .type = LOG_TYPE_BOOL, .u = value};
}

/* The text of an errno; its sign does not matter. Key: "error". */
static inline struct log_field log_errno(int error)
{
	return (struct log_field){.key = "error", .type = LOG_TYPE_ERRNO, .i = error};
}

/*
 * Choose format and level. Before it is called, text of level info goes to stderr.
 *
 * @level: LOG_ERR, LOG_WARNING, LOG_INFO or LOG_DEBUG; what is less important is dropped
 */
void log_open(enum log_format format, int level);

/* Where text and JSON lines go instead of stderr; -1: stderr again. @fd stays the caller's. */
void log_redirect(int fd);

/* Words of the configuration and the command line. Return: 0; -EINVAL. */
int log_format_parse(const char *word, enum log_format *ret_format);
int log_level_parse(const char *word, int *ret_level);

/* "auto", "text", ...; "error", "warn", "info", "debug". */
const char *log_format_name(enum log_format format);
const char *log_level_name(int level);

/*
 * Log an event.
 *
 * @message: lower case, one sentence without a full stop, never from outside
 * @...:     up to LOG_FIELDS_MAX fields; errno is preserved
 */
#define log_event(level, message, ...) \
	log_emit(level, message,       \
		 (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.type = LOG_TYPE_END}})

/* What a place in the source may log: one line a second in the long run, 10 at once. */
#define LOG_LIMIT_INTERVAL_NS NSEC_PER_SEC
#define LOG_LIMIT_BURST       10

struct log_site {
	struct instant refilled;
	unsigned int tokens;
	bool used;
	uint64_t suppressed; /* since the last line */
};

/*
 * Log an event that something outside can cause. Lines above the limit are dropped; the next one
 * that is not has a field "suppressed" with their number.
 */
#define log_limited(level, message, ...)                                                     \
	do {                                                                                 \
		static struct log_site site_;                                                \
		log_emit_limited(&site_, level, message,                                     \
				 (const struct log_field[]){                                 \
					 __VA_ARGS__ __VA_OPT__(, ){.type = LOG_TYPE_END}}); \
	} while (0)

/* What the macros expand to. @fields ends with LOG_TYPE_END. */
void log_emit(int level, const char *message, const struct log_field *fields);
void log_emit_limited(struct log_site *site, int level, const char *message,
		      const struct log_field *fields);

/*
 * May @site log at @now? If so, @ret_suppressed is the number of lines dropped since it last could.
 * Exposed for tests; @now must not run backwards.
 */
bool log_site_take(struct log_site *site, struct instant now, uint64_t *ret_suppressed);
