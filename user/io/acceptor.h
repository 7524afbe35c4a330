/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * accept() in an sd-event loop, for the DNS server and the control socket. Where the process
 * has run out of descriptors it looks away for a tenth of a second: a connection that waits keeps a
 * listening socket readable, and the loop would spin.
 */
#pragma once

#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "base/cleanup.h"

struct acceptor;

/* A connection: non-blocking, close-on-exec, the callee's. */
typedef void (*acceptor_fn)(void *ctx, int fd, const struct sockaddr *peer);

/*
 * @listen_fd: a listening socket; stays the caller's, for longer than the acceptor
 *
 * Return: 0; -ENOMEM; another errno of sd-event.
 */
int acceptor_new(sd_event *event, int listen_fd, acceptor_fn fn, void *ctx,
		 struct acceptor **ret_acceptor);

/* Not from within @fn. */
void acceptor_free(struct acceptor *acceptor);
DEFINE_CLEANUP(struct acceptor *, acceptor_free)
