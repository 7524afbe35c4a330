/* SPDX-License-Identifier: BSD-2-Clause */
/* Resource ids, see uuid.h. */
#include "core/uuid.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static char hex_lower(char c)
{
	if (c >= 'A' && c <= 'F')
		return (char)(c - 'A' + 'a');
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ? c : '\0';
}

int uuid_from_text(const char *text, char ret_uuid[UUID_STRLEN])
{
	char uuid[UUID_STRLEN];

	for (unsigned int i = 0; i < UUID_STRLEN - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		uuid[i] = dash && text[i] == '-' ? '-' : dash ? '\0' : hex_lower(text[i]);
		if (!uuid[i])
			return -EINVAL;
	}
	if (text[UUID_STRLEN - 1])
		return -EINVAL;
	uuid[UUID_STRLEN - 1] = '\0';
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return 0;
}
