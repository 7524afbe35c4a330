/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line's end of the control socket (io/ctl.h): blocking calls with a deadline. */
#pragma once

#include <signal.h>

#include <jansson.h>

#include "io/ctl.h"

#define CTL_TIMEOUT_MS 10000

/*
 * Make a request and wait for its reply.
 *
 * @args:       a JSON object, or NULL; stays the caller's
 * @timeout_ms: for everything together
 * @ret_result: a new reference
 * @ret_error:  on failure: what was attempted and why it failed, or the server's own words
 *
 * Return: 0; -EREMOTEIO if the server refused (@ret_error has its words); -ENOENT or -ECONNREFUSED
 * if no daemon listens; -EACCES; -ETIMEDOUT; -EPROTO if the reply makes no sense; -E2BIG if the
 * request is too long; other negative errnos.
 */
int ctl_call(const char *path, const char *command, const json_t *args, int timeout_ms,
	     json_t **ret_result, char ret_error[CTL_ERROR_LEN]);

/*
 * An event. @event stays the caller's.
 *
 * Return: 0 to go on; anything else ends ctl_follow, which returns it.
 */
typedef int (*ctl_follower)(void *ctx, const json_t *event);

/*
 * Follow events until the server closes the connection, @follower has had enough, or a
 * signal handler has set *@stop. The handler is to be installed without SA_RESTART; a signal
 * is heeded whenever it comes.
 *
 * @stop: NULL: no signal ends it in particular
 *
 * Return: 0 if the server closed; -EINTR; what @follower returned; the errors of ctl_call.
 */
int ctl_follow(const char *path, ctl_follower follower, void *ctx,
	       const volatile sig_atomic_t *stop, char ret_error[CTL_ERROR_LEN]);
