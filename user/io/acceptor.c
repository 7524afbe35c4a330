/* SPDX-License-Identifier: BSD-2-Clause */
/* accept() in an sd-event loop, see acceptor.h. */
#include "io/acceptor.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define BATCH      16 /* connections in one wakeup */
#define PAUSE_USEC 100000
#define SLACK_USEC 50000

struct acceptor {
	sd_event_source *io, *resume;
	acceptor_fn fn;
	void *ctx;
};

static int on_resume(sd_event_source *source, uint64_t usec, void *ctx)
{
	struct acceptor *acceptor = ctx;

	(void)source;
	(void)usec;
	return sd_event_source_set_enabled(acceptor->io, SD_EVENT_ON);
}

static void look_away(struct acceptor *acceptor)
{
	if (sd_event_source_set_time_relative(acceptor->resume, PAUSE_USEC) >= 0 &&
	    sd_event_source_set_enabled(acceptor->resume, SD_EVENT_ONESHOT) >= 0)
		(void)sd_event_source_set_enabled(acceptor->io, SD_EVENT_OFF);
}

/* Others are errors of the connection that was to be accepted (accept(2)), or there is none. */
static bool is_ours(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static int on_io(sd_event_source *source, int listen_fd, uint32_t revents, void *ctx)
{
	struct acceptor *acceptor = ctx;

	(void)source;
	(void)revents;
	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (is_ours(errno))
				look_away(acceptor);
			return 0;
		}
		acceptor->fn(acceptor->ctx, fd, (struct sockaddr *)&peer);
	}
	return 0;
}

int acceptor_new(sd_event *event, int listen_fd, acceptor_fn fn, void *ctx,
		 struct acceptor **ret_acceptor)
{
	_cleanup_(acceptor_freep) struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
	int r;

	if (!acceptor)
		return -ENOMEM;
	acceptor->fn = fn;
	acceptor->ctx = ctx;
	r = sd_event_add_time_relative(event, &acceptor->resume, CLOCK_MONOTONIC, 0, SLACK_USEC,
				       on_resume, acceptor);
	if (r >= 0)
		r = sd_event_source_set_enabled(acceptor->resume, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_io(event, &acceptor->io, listen_fd, EPOLLIN, on_io, acceptor);
	if (r < 0)
		return r;
	*ret_acceptor = TAKE_PTR(acceptor);
	return 0;
}

void acceptor_free(struct acceptor *acceptor)
{
	if (!acceptor)
		return;
	sd_event_source_disable_unref(acceptor->io);
	sd_event_source_disable_unref(acceptor->resume);
	free(acceptor);
}
