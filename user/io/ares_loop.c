/* SPDX-License-Identifier: BSD-2-Clause */
/* Channels of c-ares inside sd-event, see ares_loop.h. */
#include "io/ares_loop.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/instant.h"
#include "base/ipaddr.h"

/*
 * Tries of a query at each server. c-ares doubles its timeout with every round, so three
 * rounds take 1 + 2 + 4 units for each server.
 */
#define TRIES             3
#define TRY_UNITS         7
#define TRY_MIN_MS        50
#define TIMER_ACCURACY_US 5000

struct watch {
	LIST_ENTRY(watch) entry;
	struct loop_channel *channel;
	sd_event_source *source;
	int fd;
};

/* A channel of c-ares has one UDP socket for each server while anything is in flight. */
struct loop_channel {
	TAILQ_ENTRY(loop_channel) entry;
	struct ares_loop *loop;
	ares_channel ares;
	sd_event_source *retry; /* c-ares' own timeouts */
	LIST_HEAD(, watch) watches;
	unsigned int started, in_flight; /* queries */
	unsigned int busy;               /* inside of c-ares: not to be closed */
};

struct ares_loop {
	struct ares_servers servers;
	struct ares_loop_settings settings;
	bool library_open;
	sd_event *event;
	sd_event_source *expiry;                          /* the first job's deadline */
	TAILQ_HEAD(ares_channels, loop_channel) channels; /* the newest one is last */
	unsigned int channel_count;
	struct loop_channel *starting; /* between begin and end */
	TAILQ_HEAD(, ares_job) jobs;   /* by deadline: all have the same timeout */
};

static uint64_t now_us(void)
{
	return (uint64_t)(instant_now().ns / NSEC_PER_USEC);
}

/* A source that was never made is nothing to re-arm: only while opening. */
static void arm(sd_event_source *source, uint64_t at_us)
{
	(void)sd_event_source_set_time(source, at_us);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void arm_retry(struct loop_channel *channel)
{
	struct timeval tv;

	if (!ares_timeout(channel->ares, NULL, &tv)) {
		(void)sd_event_source_set_enabled(channel->retry, SD_EVENT_OFF);
		return;
	}
	arm(channel->retry, now_us() + (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec);
}

static void arm_expiry(struct ares_loop *loop)
{
	struct ares_job *first = TAILQ_FIRST(&loop->jobs);

	if (first)
		arm(loop->expiry, first->deadline_us);
	else
		(void)sd_event_source_set_enabled(loop->expiry, SD_EVENT_OFF);
}

static void watch_free(struct watch *watch)
{
	LIST_REMOVE(watch, entry);
	sd_event_source_disable_unref(watch->source);
	free(watch);
}

/* Ends what is in flight on it. */
static void channel_close(struct loop_channel *channel)
{
	struct ares_loop *loop = channel->loop;

	channel->busy++;
	if (channel->ares)
		ares_destroy(channel->ares);
	while (!LIST_EMPTY(&channel->watches))
		watch_free(LIST_FIRST(&channel->watches));
	sd_event_source_disable_unref(channel->retry);
	TAILQ_REMOVE(&loop->channels, channel, entry);
	loop->channel_count--;
	free(channel);
}

static bool has_room(const struct loop_channel *channel, unsigned int queries)
{
	return channel->started + queries <= channel->loop->settings.queries_each;
}

/* After each entry into c-ares: a channel that is used up and has drained goes. */
static void settle(struct loop_channel *channel)
{
	struct ares_loop *loop = channel->loop;

	if (channel->busy == 0 && channel->in_flight == 0 && !has_room(channel, 1))
		channel_close(channel);
	else
		arm_retry(channel);
	arm_expiry(loop);
}

static void process(struct loop_channel *channel, ares_socket_t readable, ares_socket_t writable)
{
	channel->busy++;
	ares_process_fd(channel->ares, readable, writable);
	channel->busy--;
	settle(channel);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct watch *watch = userdata;

	(void)source;
	/* c-ares learns of an error by reading or writing; it may free the watch meanwhile. */
	process(watch->channel, revents & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
		revents & (EPOLLOUT | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	process(userdata, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	return 0;
}

static void report(struct ares_loop *loop, struct ares_job *job)
{
	TAILQ_REMOVE(&loop->jobs, job, entry);
	job->waiting = false;
	loop->settings.fn(loop->settings.ctx, job);
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ares_loop *loop = userdata;
	struct ares_job *job;
	uint64_t now = now_us();

	(void)source;
	(void)usec;
	while ((job = TAILQ_FIRST(&loop->jobs)) && job->deadline_us <= now)
		report(loop, job);
	arm_expiry(loop);
	return 0;
}

/* Without memory for a watch the query runs into its timeout, which is answer enough. */
static void watch_new(struct loop_channel *channel, int fd, uint32_t events)
{
	struct watch *watch = malloc(sizeof(*watch));

	if (!watch)
		return;
	*watch = (struct watch){.channel = channel, .fd = fd};
	if (sd_event_add_io(channel->loop->event, &watch->source, fd, events, on_io, watch) < 0) {
		free(watch);
		return;
	}
	LIST_INSERT_HEAD(&channel->watches, watch, entry);
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct loop_channel *channel = data;
	uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
	struct watch *watch;

	LIST_FOREACH (watch, &channel->watches, entry)
		if (watch->fd == fd)
			break;
	if (!events) {
		if (watch)
			watch_free(watch);
		return;
	}
	if (watch)
		(void)sd_event_source_set_io_events(watch->source, events);
	else
		watch_new(channel, fd, events);
}

static void set_source(ares_channel ares, const struct fq_addr *source)
{
	if (ipaddr_is_v4(source))
		ares_set_local_ip4(ares, be32toh(source->w[3]));
	else if (!ipaddr_is_zero(source))
		ares_set_local_ip6(ares, source->b);
}

/* Everything that c-ares would look for in files is given, so that it reads none. */
static int ares_open(struct loop_channel *channel)
{
	const struct ares_loop *loop = channel->loop;
	uint64_t try_ms = loop->settings.timeout_ms / (TRY_UNITS * loop->servers.count);
	struct ares_options options = {
		/*
		 * With a single server its answer is taken whatever the RCODE; with several,
		 * one that answers SERVFAIL, REFUSED or NOTIMP is passed over.
		 */
		.flags = loop->servers.count == 1 ? ARES_FLAG_NOCHECKRESP : 0,
		.timeout = (int)(try_ms > TRY_MIN_MS ? try_ms : TRY_MIN_MS),
		.tries = TRIES,
		.ndots = 1,
		.lookups = (char[]){"b"},
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = channel,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
		   ARES_OPT_LOOKUPS | ARES_OPT_DOMAINS | ARES_OPT_SORTLIST | ARES_OPT_SERVERS |
		   ARES_OPT_SOCK_STATE_CB;

	if (ares_init_options(&channel->ares, &options, mask) != ARES_SUCCESS)
		return -ENOMEM;
	set_source(channel->ares, &loop->settings.source);
	if (ares_set_servers_ports(channel->ares,
				   (struct ares_addr_port_node *)loop->servers.node) !=
	    ARES_SUCCESS)
		return -ENOMEM;
	return 0;
}

static int timer_open(sd_event *event, sd_event_source **source, sd_event_time_handler_t fn,
		      void *ctx)
{
	int r;

	r = sd_event_add_time(event, source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, fn, ctx);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(*source, SD_EVENT_OFF);
}

static int channel_new(struct ares_loop *loop, struct loop_channel **ret_channel)
{
	struct loop_channel *channel = calloc(1, sizeof(*channel));
	int r;

	if (!channel)
		return -ENOMEM;
	channel->loop = loop;
	LIST_INIT(&channel->watches);
	TAILQ_INSERT_TAIL(&loop->channels, channel, entry);
	loop->channel_count++;
	r = timer_open(loop->event, &channel->retry, on_retry, channel);
	if (r == 0)
		r = ares_open(channel);
	if (r < 0) {
		channel_close(channel);
		return r;
	}
	*ret_channel = channel;
	return 0;
}

/* Any of those that drain: none is easier to guess than another. */
static struct loop_channel *channel_any(struct ares_loop *loop)
{
	uint32_t n = arc4random_uniform(loop->channel_count);
	struct loop_channel *channel = TAILQ_FIRST(&loop->channels);

	while (n--)
		channel = TAILQ_NEXT(channel, entry);
	return channel;
}

int ares_loop_open(sd_event *event, const struct dns_servers *servers,
		   const struct ares_loop_settings *settings, struct ares_loop **ret_loop)
{
	_cleanup_(ares_loop_closep) struct ares_loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	TAILQ_INIT(&loop->channels);
	TAILQ_INIT(&loop->jobs);
	loop->event = sd_event_ref(event);
	loop->settings = *settings;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return -ENOMEM;
	loop->library_open = true;
	r = ares_servers_make(servers, &loop->servers);
	if (r == 0)
		r = timer_open(event, &loop->expiry, on_expiry, loop);
	if (r < 0)
		return r;
	*ret_loop = TAKE_PTR(loop);
	return 0;
}

void ares_loop_close(struct ares_loop *loop)
{
	struct ares_job *job;

	if (!loop)
		return;
	while (!TAILQ_EMPTY(&loop->channels))
		channel_close(TAILQ_FIRST(&loop->channels));
	while ((job = TAILQ_FIRST(&loop->jobs)))
		report(loop, job);
	if (loop->library_open)
		ares_library_cleanup();
	sd_event_source_disable_unref(loop->expiry);
	sd_event_unref(loop->event);
	free(loop);
}

int ares_loop_begin(struct ares_loop *loop, unsigned int queries, ares_channel *ret_channel)
{
	struct loop_channel *channel = TAILQ_LAST(&loop->channels, ares_channels);
	int r;

	if (!channel || !has_room(channel, queries)) {
		if (loop->channel_count < loop->settings.channels_max) {
			r = channel_new(loop, &channel);
			if (r < 0)
				return r;
		} else {
			channel = channel_any(loop);
		}
	}
	channel->busy++;
	loop->starting = channel;
	*ret_channel = channel->ares;
	return 0;
}

void ares_loop_end(struct ares_loop *loop)
{
	struct loop_channel *channel = TAKE_PTR(loop->starting);

	channel->busy--;
	settle(channel);
}

void ares_loop_add(struct ares_loop *loop, struct ares_job *job)
{
	job->deadline_us = now_us() + loop->settings.timeout_ms * 1000;
	job->waiting = true;
	job->channel = loop->starting;
	job->channel->started++;
	job->channel->in_flight++;
	TAILQ_INSERT_TAIL(&loop->jobs, job, entry);
}

bool ares_loop_finish(struct ares_loop *loop, struct ares_job *job)
{
	job->channel->in_flight--;
	if (!job->waiting)
		return false;
	TAILQ_REMOVE(&loop->jobs, job, entry);
	if (loop->starting) {
		job->deadline_us = 0;
		TAILQ_INSERT_HEAD(&loop->jobs, job, entry);
		return false;
	}
	job->waiting = false;
	return true;
}
