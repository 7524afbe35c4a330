/* SPDX-License-Identifier: BSD-2-Clause */
/* Resource ids as text: 8-4-4-4-12 hex digits (RFC 4122 3), kept in lower case. Pure. */
#pragma once

#define UUID_STRLEN 37 /* with the NUL */

/* Parse a UUID in any case. Return: 0; -EINVAL. */
int uuid_from_text(const char *text, char ret_uuid[UUID_STRLEN]);
