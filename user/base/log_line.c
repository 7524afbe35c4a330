/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of the log: escaping and cutting. No output, no clock.
 *
 * A reader of the log trusts its lines: no value may end one, hide in a terminal's control
 * sequences, or reverse the text's direction. JSON is that of RFC 8259, its time that of RFC 3339.
 */
#include "base/log_line.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void log_line_char(struct log_line *line, char c)
{
	if (line->len < sizeof(line->text))
		line->text[line->len++] = c;
}

static void put(struct log_line *line, const char *bytes, size_t n)
{
	if (n > sizeof(line->text) - line->len)
		return;
	memcpy(line->text + line->len, bytes, n);
	line->len += n;
}

void log_line_string(struct log_line *line, const char *s)
{
	put(line, s, strlen(s));
}

/*
 * Decode a character of UTF-8 (RFC 3629: shortest form, no surrogates).
 *
 * Return: its length in bytes, 1 to 4; 0 if the bytes at @p are none.
 */
static unsigned int utf8_decode(const uint8_t *p, size_t n, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned int len = p[0] < 0x80   ? 1
			   : p[0] < 0xc0 ? 0
			   : p[0] < 0xe0 ? 2
			   : p[0] < 0xf0 ? 3
			   : p[0] < 0xf8 ? 4
					 : 0;
	uint32_t code = len == 1 ? p[0] : p[0] & (0x7f >> len);

	if (len == 0 || len > n)
		return 0;
	for (unsigned int i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return len;
}

/* Characters that act on a terminal or a reader instead of being shown. */
static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || /* C0, DEL, C1 */
	       (code >= 0x200e && code <= 0x200f) ||           /* direction marks */
	       (code >= 0x2028 && code <= 0x202e) ||           /* line separators, embeddings */
	       (code >= 0x2066 && code <= 0x2069) ||           /* isolates */
	       code == 0x061c || code == 0xfeff;
}

enum style {
	STYLE_TEXT,
	STYLE_JSON,
	STYLE_RAW,
};

static void put_control(struct log_line *line, uint32_t code, enum style style)
{
	static const char shortcut[] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
	char text[16];

	if (code < sizeof(shortcut) && shortcut[code])
		snprintf(text, sizeof(text), "\\%c", shortcut[code]);
	else if (style == STYLE_TEXT && code < 0x80)
		snprintf(text, sizeof(text), "\\x%02x", (unsigned int)code);
	else
		snprintf(text, sizeof(text), "\\u%04x", (unsigned int)code);
	log_line_string(line, text);
}

static void put_invalid(struct log_line *line, uint8_t byte, enum style style)
{
	char text[16];

	/* JSON has no bytes, only characters: the replacement character stands for it. */
	if (style == STYLE_JSON)
		snprintf(text, sizeof(text), "\\ufffd");
	else
		snprintf(text, sizeof(text), "\\x%02x", byte);
	log_line_string(line, text);
}

/* Bytes from anywhere, escaped and cut, without the quotes around them. */
static void put_escaped(struct log_line *line, const char *bytes, size_t n, enum style style)
{
	const uint8_t *p = (const uint8_t *)bytes;
	size_t at = 0;

	while (at < n && at < LOG_VALUE_MAX) {
		uint32_t code;
		unsigned int len = utf8_decode(p + at, n - at, &code);

		if (len == 0) {
			put_invalid(line, p[at], style);
			at++;
			continue;
		}
		if (style == STYLE_RAW)
			put(line, bytes + at, len);
		else if (is_control(code))
			put_control(line, code, style);
		else {
			if (code == '"' || code == '\\')
				log_line_char(line, '\\');
			put(line, bytes + at, len);
		}
		at += len;
	}
	if (at < n)
		log_line_string(line, "...");
}

/* Can the value stand in a text line without quotes? */
static bool is_plain(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] <= ' ' || bytes[i] > '~' || strchr("\"\\=", bytes[i]))
			return false;
	}
	return n > 0;
}

static void put_string(struct log_line *line, const char *bytes, size_t n, enum style style)
{
	bool quoted = style == STYLE_JSON || (style == STYLE_TEXT && !is_plain(bytes, n));

	if (quoted)
		log_line_char(line, '"');
	put_escaped(line, bytes, n, style);
	if (quoted)
		log_line_char(line, '"');
}

static void put_value(struct log_line *line, const struct log_field *field, enum style style)
{
	char number[32];

	switch (field->type) {
	case LOG_TYPE_STRING:
		if (field->string)
			put_string(line, field->string, field->len, style);
		else
			log_line_string(line, style == STYLE_JSON ? "null" : "-");
		return;
	case LOG_TYPE_INT:
		snprintf(number, sizeof(number), "%" PRId64, field->i);
		log_line_string(line, number);
		return;
	case LOG_TYPE_UINT:
		snprintf(number, sizeof(number), "%" PRIu64, field->u);
		log_line_string(line, number);
		return;
	case LOG_TYPE_BOOL:
		log_line_string(line, field->u ? "true" : "false");
		return;
	case LOG_TYPE_ERRNO: {
		const char *text = strerror((int)(field->i < 0 ? -field->i : field->i));

		put_string(line, text, strlen(text), style);
		return;
	}
	case LOG_TYPE_END:
		return;
	}
}

void log_line_value(struct log_line *line, const struct log_field *field)
{
	put_value(line, field, STYLE_RAW);
}

/* Room that is kept for the end of a line, so that one that was cut still is whole. */
#define TAIL_ROOM 64

/* Undo a field that did not fit. Return: whether it did. */
static bool fits(struct log_line *line, size_t before)
{
	if (line->len < sizeof(line->text) - TAIL_ROOM)
		return true;
	line->len = before;
	return false;
}

void log_line_text(struct log_line *line, const char *message, const struct log_field *fields)
{
	log_line_string(line, message);
	for (const struct log_field *f = fields; f->type != LOG_TYPE_END; f++) {
		size_t before = line->len;

		log_line_char(line, ' ');
		log_line_string(line, f->key);
		log_line_char(line, '=');
		put_value(line, f, STYLE_TEXT);
		if (!fits(line, before)) {
			log_line_string(line, " truncated=true");
			return;
		}
	}
}

static void put_time(struct log_line *line, struct timespec now)
{
	char text[64];
	struct tm tm;

	gmtime_r(&now.tv_sec, &tm);
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900,
		 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		 now.tv_nsec / (long)NSEC_PER_MSEC);
	log_line_string(line, text);
}

void log_line_json(struct log_line *line, struct timespec now, int level, const char *message,
		   const struct log_field *fields)
{
	log_line_string(line, "{\"time\":\"");
	put_time(line, now);
	log_line_string(line, "\",\"level\":\"");
	log_line_string(line, log_level_name(level));
	log_line_string(line, "\",\"message\":");
	put_string(line, message, strlen(message), STYLE_JSON);
	for (const struct log_field *f = fields; f->type != LOG_TYPE_END; f++) {
		size_t before = line->len;

		log_line_string(line, ",\"");
		log_line_string(line, f->key);
		log_line_string(line, "\":");
		put_value(line, f, STYLE_JSON);
		if (!fits(line, before)) {
			log_line_string(line, ",\"truncated\":true");
			break;
		}
	}
	log_line_char(line, '}');
}
