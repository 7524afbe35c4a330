/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's end of the control socket (io/ctl.h), by sd-event.
 *
 * Whoever can open the socket (mode 0600: its owner and root) may do everything. Even so, every
 * resource is bounded: connections, length of a request, unread output; a connection that
 * does not move for CTL_STALL_S in the middle of a request or reply is closed.
 */
#pragma once

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "io/ctl.h"

#define CTL_CONNECTIONS_MAX   32
#define CTL_MONITOR_QUEUE_MAX (256 << 10) /* unread bytes of events of a subscriber */
#define CTL_STALL_S           30

struct ctl_server;

/*
 * Do what a request asks.
 *
 * @command:    never CTL_MONITOR, which the server handles itself
 * @args:       a JSON object, empty if the request had none; the server's
 * @ret_result: what to reply; taken over. Left alone: null
 * @ret_error:  on failure: what was wrong, for people; empty: the text of the errno
 *
 * Return: 0; negative errno.
 */
typedef int (*ctl_handler)(void *ctx, const char *command, const json_t *args, json_t **ret_result,
			   char ret_error[CTL_ERROR_LEN]);

/*
 * Listen at @path. Its last directory is made if it is missing. A socket that nobody listens to is
 * replaced; a live one, and anything that is no socket, is left alone.
 *
 * @event:     referenced
 * @path:      copied; shorter than sockaddr_un.sun_path
 * @ret_error: on failure: what was attempted and why it failed
 *
 * Return: 0; -EADDRINUSE if a daemon answers there; other negative errnos.
 */
int ctl_server_new(sd_event *event, const char *path, ctl_handler handler, void *ctx,
		   struct ctl_server **ret_server, char ret_error[CTL_ERROR_LEN]);

/* Close every connection and remove the socket, if it is still ours. */
void ctl_server_free(struct ctl_server *server);
DEFINE_CLEANUP(struct ctl_server *, ctl_server_free)

/* How many follow events: with none, building one is wasted time. */
unsigned int ctl_server_subscribers(const struct ctl_server *server);

/* How many are connected. */
unsigned int ctl_server_connections(const struct ctl_server *server);

/*
 * Send an event to every subscriber.
 *
 * @event: a JSON object; stays the caller's
 *
 * Return: 0, also if some were too slow and were dropped; -ENOMEM.
 */
int ctl_server_publish(struct ctl_server *server, const json_t *event);
