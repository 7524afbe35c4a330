/* SPDX-License-Identifier: BSD-2-Clause */
/* Control messages, bytes to struct and back, see control.h. */
#include "core/control.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "base/ipaddr.h"

#define INCARNATION_OFFSET 2
#define GENERATION_OFFSET  4

/* Members are written in the order in which they are packed. */
#define ENCODE_FLAGS (JSON_COMPACT | JSON_ENSURE_ASCII)
#define DECODE_FLAGS JSON_REJECT_DUPLICATES

#define STATUS_ACTIVE   "Active"
#define STATUS_INACTIVE "Inactive"

static void json_putp(json_t **json)
{
	json_decref(*json);
}

static bool proxies_valid(const struct control_message *msg)
{
	if (msg->proxy_count != CONTROL_PROXIES_MAX && msg->proxy_count != CONTROL_PROXIES_ONE)
		return false;
	for (unsigned int i = 1; i < msg->proxy_count; i++)
		for (unsigned int k = 0; k < i; k++)
			if (ipaddr_equal(&msg->proxies[i], &msg->proxies[k]))
				return false;
	return true;
}

static bool has_payload(enum control_event event)
{
	return event == CONTROL_ASSIGNED_IPS || event == CONTROL_DOMAIN_STATUS;
}

static bool has_incarnation(enum control_event event)
{
	return event == CONTROL_PROBE || event == CONTROL_PROBE_REPLY;
}

static bool subject_valid(const struct control_message *msg)
{
	char uuid[UUID_STRLEN];

	return uuid_from_text(msg->resource, uuid) == 0 && msg->domain.len > 0;
}

static bool message_valid(const struct control_message *msg)
{
	switch (msg->event) {
	case CONTROL_ASSIGNED_IPS:
		return subject_valid(msg) && proxies_valid(msg);
	case CONTROL_DOMAIN_STATUS:
		return subject_valid(msg) &&
		       (msg->status == CONTROL_ACTIVE || msg->status == CONTROL_INACTIVE);
	case CONTROL_GOODBYE:
		return true;
	case CONTROL_PROBE:
	case CONTROL_PROBE_REPLY:
		return msg->generation != 0;
	default:
		return false;
	}
}

static int proxies_pack(const struct control_message *msg, json_t **ret_array)
{
	_cleanup_(json_putp) json_t *array = json_array();
	char text[IPADDR_STRLEN];

	if (!array)
		return -ENOMEM;
	for (unsigned int i = 0; i < msg->proxy_count; i++)
		if (json_array_append_new(array,
					  json_string(ipaddr_format(&msg->proxies[i], text))))
			return -ENOMEM;
	*ret_array = TAKE_PTR(array);
	return 0;
}

static int payload_pack(const struct control_message *msg, json_t **ret_payload)
{
	_cleanup_(json_putp) json_t *proxies = NULL;
	const char *status = msg->status == CONTROL_ACTIVE ? STATUS_ACTIVE : STATUS_INACTIVE;
	json_t *payload;
	int r;

	if (msg->event == CONTROL_ASSIGNED_IPS) {
		r = proxies_pack(msg, &proxies);
		if (r < 0)
			return r;
		payload = json_pack("{s:s, s:s, s:O}", "resource", msg->resource, "domain",
				    msg->domain.text, "proxy_ips", proxies);
	} else {
		payload = json_pack("{s:s, s:s, s:s}", "resource", msg->resource, "domain",
				    msg->domain.text, "status", status);
	}
	if (!payload)
		return -ENOMEM;
	*ret_payload = payload;
	return 0;
}

int control_encode(const struct control_message *msg, uint8_t *buf, size_t cap, size_t *ret_len)
{
	_cleanup_(json_putp) json_t *payload = NULL;
	size_t len = 0;
	int r;

	if (!message_valid(msg))
		return -EINVAL;
	if (cap > CONTROL_MESSAGE_MAX)
		cap = CONTROL_MESSAGE_MAX;
	if (cap < CONTROL_HEADER_BYTES)
		return -EMSGSIZE;
	if (has_payload(msg->event)) {
		r = payload_pack(msg, &payload);
		if (r < 0)
			return r;
		len = json_dumpb(payload, (char *)buf + CONTROL_HEADER_BYTES,
				 cap - CONTROL_HEADER_BYTES, ENCODE_FLAGS);
		if (len == 0)
			return -ENOMEM;
		if (len > cap - CONTROL_HEADER_BYTES)
			return -EMSGSIZE;
	}
	memset(buf, 0, CONTROL_HEADER_BYTES);
	buf[CONTROL_EVENT_OFFSET] = msg->event;
	if (has_incarnation(msg->event)) {
		buf[INCARNATION_OFFSET] = (uint8_t)(msg->incarnation >> 8);
		buf[INCARNATION_OFFSET + 1] = (uint8_t)msg->incarnation;
	}
	for (unsigned int i = 0; i < 4; i++)
		buf[GENERATION_OFFSET + i] = (uint8_t)(msg->generation >> (24 - 8 * i));
	*ret_len = CONTROL_HEADER_BYTES + len;
	return 0;
}

static int proxies_unpack(const json_t *payload, struct control_message *msg)
{
	const json_t *array = json_object_get(payload, "proxy_ips");

	if (!json_is_array(array) || json_array_size(array) > CONTROL_PROXIES_MAX)
		return -EBADMSG;
	msg->proxy_count = (unsigned int)json_array_size(array);
	for (unsigned int i = 0; i < msg->proxy_count; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text || ipaddr_parse(text, &msg->proxies[i]) < 0)
			return -EBADMSG;
	}
	return proxies_valid(msg) ? 0 : -EBADMSG;
}

static int payload_unpack(const json_t *payload, struct control_message *msg)
{
	const char *resource = json_string_value(json_object_get(payload, "resource"));
	const char *domain = json_string_value(json_object_get(payload, "domain"));
	const char *status;

	if (!resource || uuid_from_text(resource, msg->resource) < 0)
		return -EBADMSG;
	if (!domain || dname_from_text(domain, &msg->domain) < 0)
		return -EBADMSG;
	if (msg->event == CONTROL_ASSIGNED_IPS)
		return proxies_unpack(payload, msg);
	status = json_string_value(json_object_get(payload, "status"));
	if (!status)
		return -EBADMSG;
	msg->status = strcmp(status, STATUS_ACTIVE) == 0 ? CONTROL_ACTIVE : CONTROL_INACTIVE;
	return 0;
}

int control_decode(const uint8_t *bytes, size_t len, struct control_message *ret_msg)
{
	_cleanup_(json_putp) json_t *payload = NULL;
	struct control_message msg = {0};
	json_error_t error;
	int r;

	if (len < CONTROL_HEADER_BYTES || len > CONTROL_MESSAGE_MAX)
		return -EBADMSG;
	msg.event = bytes[CONTROL_EVENT_OFFSET];
	if (has_incarnation(msg.event))
		msg.incarnation =
			(uint16_t)(bytes[INCARNATION_OFFSET] << 8 | bytes[INCARNATION_OFFSET + 1]);
	for (unsigned int i = 0; i < 4; i++)
		msg.generation = msg.generation << 8 | bytes[GENERATION_OFFSET + i];

	switch (msg.event) {
	case CONTROL_GOODBYE:
		break;
	case CONTROL_PROBE:
	case CONTROL_PROBE_REPLY:
		if (msg.generation == 0)
			return -EBADMSG;
		break;
	case CONTROL_ASSIGNED_IPS:
	case CONTROL_DOMAIN_STATUS:
		payload = json_loadb((const char *)bytes + CONTROL_HEADER_BYTES,
				     len - CONTROL_HEADER_BYTES, DECODE_FLAGS, &error);
		if (!payload)
			return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM
										   : -EBADMSG;
		r = payload_unpack(payload, &msg);
		if (r < 0)
			return r;
		break;
	default:
		return -EOPNOTSUPP;
	}
	*ret_msg = msg;
	return 0;
}

const char *control_event_name(enum control_event event)
{
	static const char *const names[] = {
#define X(id, name) name,
		CONTROL_EVENTS(X)
#undef X
	};

	return names[event];
}
