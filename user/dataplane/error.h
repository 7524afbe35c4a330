/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words for people, where an errno does not say enough. Functions that take a
 * struct dp_error * accept NULL; the text means
 * something only after a failure: one line, no newline.
 */
#pragma once

struct dp_error {
	char text[512];
};

/*
 * Write the text and hand back @r, so that a failure is one statement:
 *
 *	return dp_fail(err, -ENODEV, "no interface '%s'", name);
 *
 * Return: @r.
 */
int dp_fail(struct dp_error *err, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
