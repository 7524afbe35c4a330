/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: levels, limits, and where lines go (log_line.c has their form).
 *
 * A line that cannot be written is lost: the log never blocks or fails the daemon. The
 * protocol of the journal's socket is libsystemd's business; with text on a stderr that is
 * connected to the journal, a line begins with "<priority>" (sd-daemon(3)).
 */
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "base/log_line.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static struct {
	enum log_format format; /* never AUTO once open */
	int level;
	int fd;
	bool priorities; /* stderr is the journal's: say the priority of text lines */
} logger = {.format = LOG_FORMAT_TEXT, .level = LOG_INFO, .fd = STDERR_FILENO};

/* Is stderr what $JOURNAL_STREAM names ("device:inode", systemd.exec(5))? */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_open(enum log_format format, int level)
{
	logger.priorities = stderr_is_journal();
	if (format == LOG_FORMAT_AUTO)
		format = logger.priorities ? LOG_FORMAT_JOURNAL : LOG_FORMAT_TEXT;
	/* libsystemd drops silently what it cannot send for want of a journal. */
	if (format == LOG_FORMAT_JOURNAL && access(JOURNAL_SOCKET, W_OK) < 0)
		format = LOG_FORMAT_TEXT;
	logger.format = format;
	logger.level = level;
}

void log_redirect(int fd)
{
	logger.fd = fd < 0 ? STDERR_FILENO : fd;
}

static const char *const format_names[] = {
	[LOG_FORMAT_AUTO] = "auto",
	[LOG_FORMAT_TEXT] = "text",
	[LOG_FORMAT_JSON] = "json",
	[LOG_FORMAT_JOURNAL] = "journal",
};

static const struct {
	const char *name;
	int level;
} levels[] = {{"error", LOG_ERR}, {"warn", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int log_format_parse(const char *word, enum log_format *ret_format)
{
	for (size_t i = 0; i < COUNT(format_names); i++) {
		if (strcmp(word, format_names[i]) == 0) {
			*ret_format = (enum log_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

int log_level_parse(const char *word, int *ret_level)
{
	for (size_t i = 0; i < COUNT(levels); i++) {
		if (strcmp(word, levels[i].name) == 0) {
			*ret_level = levels[i].level;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_format_name(enum log_format format)
{
	return format_names[format];
}

const char *log_level_name(int level)
{
	for (size_t i = 0; i < COUNT(levels); i++) {
		if (level <= levels[i].level)
			return levels[i].name;
	}
	return "debug";
}

/* One write for a line, so that lines of several processes do not mix. */
static void write_line(struct log_line *line)
{
	ssize_t n;

	if (line->len == sizeof(line->text))
		line->len--;
	line->text[line->len++] = '\n';
	do
		n = write(logger.fd, line->text, line->len);
	while (n < 0 && errno == EINTR);
}

static void emit_text(int level, const char *message, const struct log_field *fields)
{
	struct log_line line;

	line.len = 0;
	if (logger.priorities && logger.fd == STDERR_FILENO) {
		log_line_char(&line, '<');
		log_line_char(&line, (char)('0' + level));
		log_line_char(&line, '>');
	}
	log_line_string(&line, log_level_name(level));
	log_line_string(&line, ": ");
	log_line_text(&line, message, fields);
	write_line(&line);
}

static void emit_json(int level, const char *message, const struct log_field *fields)
{
	struct timespec now;
	struct log_line line;

	line.len = 0;
	clock_gettime(CLOCK_REALTIME, &now);
	log_line_json(&line, now, level, message, fields);
	write_line(&line);
}

/* "FQDNAT_KEY=": the journal wants capitals, digits and '_' (systemd.journal-fields(7)). */
static void journal_key(struct log_line *line, const char *key)
{
	log_line_string(line, "FQDNAT_");
	for (const char *p = key; *p; p++)
		log_line_char(line,
			      isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_');
	log_line_char(line, '=');
}

static struct iovec piece_from(struct log_line *line, size_t begin)
{
	return (struct iovec){.iov_base = line->text + begin, .iov_len = line->len - begin};
}

static int emit_journal(int level, const char *message, const struct log_field *fields)
{
	struct iovec iov[LOG_FIELDS_MAX + 3];
	struct log_line text, rest;
	int n = 0;

	text.len = 0;
	log_line_string(&text, "MESSAGE=");
	log_line_text(&text, message, fields);
	iov[n++] = piece_from(&text, 0);

	rest.len = 0;
	log_line_string(&rest, "PRIORITY=");
	log_line_char(&rest, (char)('0' + level));
	iov[n++] = piece_from(&rest, 0);
	for (const struct log_field *f = fields; f->type != LOG_TYPE_END; f++) {
		size_t begin = rest.len;

		if (n == sizeof(iov) / sizeof(iov[0]))
			break;
		journal_key(&rest, f->key);
		log_line_value(&rest, f);
		iov[n++] = piece_from(&rest, begin);
	}
	return sd_journal_sendv(iov, n);
}

void log_emit(int level, const char *message, const struct log_field *fields)
{
	int saved = errno;

	if (level > logger.level)
		return;
	if (logger.format == LOG_FORMAT_JSON)
		emit_json(level, message, fields);
	else if (logger.format != LOG_FORMAT_JOURNAL || emit_journal(level, message, fields) < 0)
		emit_text(level, message, fields);
	errno = saved;
}

bool log_site_take(struct log_site *site, struct instant now, uint64_t *ret_suppressed)
{
	int64_t earned;

	if (!site->used) {
		site->used = true;
		site->tokens = LOG_LIMIT_BURST;
		site->refilled = now;
	}
	earned = instant_sub(now, site->refilled) / LOG_LIMIT_INTERVAL_NS;
	if (earned > 0) {
		site->refilled = instant_add(site->refilled, earned * LOG_LIMIT_INTERVAL_NS);
		site->tokens = earned >= LOG_LIMIT_BURST - (int64_t)site->tokens
				       ? LOG_LIMIT_BURST
				       : site->tokens + (unsigned int)earned;
	}
	if (site->tokens == 0) {
		site->suppressed++;
		return false;
	}
	site->tokens--;
	*ret_suppressed = site->suppressed;
	site->suppressed = 0;
	return true;
}

void log_emit_limited(struct log_site *site, int level, const char *message,
		      const struct log_field *fields)
{
	struct log_field all[LOG_FIELDS_MAX + 2];
	uint64_t suppressed;
	size_t n = 0;

	if (level > logger.level || !log_site_take(site, instant_now(), &suppressed))
		return;
	while (n < LOG_FIELDS_MAX && fields[n].type != LOG_TYPE_END) {
		all[n] = fields[n];
		n++;
	}
	if (suppressed)
		all[n++] = log_uint("suppressed", suppressed);
	all[n] = (struct log_field){.type = LOG_TYPE_END};
	log_emit(level, message, all);
}
