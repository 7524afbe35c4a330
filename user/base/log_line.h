/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of the log from an event's parts: pure, used by log.c and its test. */
#pragma once

#include "base/log.h"

#define LOG_LINE_MAX 16384

struct log_line {
	char text[LOG_LINE_MAX]; /* not terminated */
	size_t len;
};

/* `message key=value key="quoted value"`, no level, no newline; appended to @line. */
void log_line_text(struct log_line *line, const char *message, const struct log_field *fields);

/* A JSON object, no newline; appended to @line. @now: wall clock. */
void log_line_json(struct log_line *line, struct timespec now, int level, const char *message,
		   const struct log_field *fields);

/* A field's value alone, not quoted and not escaped but cut: what the journal gets; appended. */
void log_line_value(struct log_line *line, const struct log_field *field);

/* Append one character or a string, if there is room for all of it. */
void log_line_char(struct log_line *line, char c);
void log_line_string(struct log_line *line, const char *s);
