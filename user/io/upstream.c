/* SPDX-License-Identifier: BSD-2-Clause */
/* DNS queries handed to the upstream servers, see upstream.h. */
#include "io/upstream.h"

#include <errno.h>
#include <string.h>

#define DNS_HEADER_BYTES 12
#define DNS_QUERY_MAX    65535
#define QUERIES_EACH     8  /* from one port */
#define CHANNELS_MAX     64 /* ports for each server */

struct forward {
	struct ares_job job;
	struct upstream *upstream;
	upstream_fn fn;
	void *ctx;
	unsigned int refs;             /* c-ares and the report */
	enum upstream_outcome outcome; /* if it is reported from the loop's timer */
	uint8_t id[2];                 /* the client's */
};

struct upstream {
	struct ares_loop *loop;
	unsigned int in_flight, in_flight_max;
	bool closing;
};

static void forward_unref(struct forward *forward)
{
	if (--forward->refs == 0)
		free(forward);
}

static void forward_report(struct forward *forward, enum upstream_outcome outcome,
			   const uint8_t *bytes, size_t len)
{
	struct upstream *upstream = forward->upstream;

	upstream->in_flight--;
	if (!upstream->closing)
		forward->fn(forward->ctx, outcome, bytes, len);
	forward_unref(forward);
}

static void on_job(void *ctx, struct ares_job *job)
{
	struct forward *forward = (struct forward *)((char *)job - offsetof(struct forward, job));

	(void)ctx;
	forward_report(forward, forward->outcome, NULL, 0);
}

static void on_reply(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct forward *forward = arg;

	(void)timeouts;
	if (status == ARES_SUCCESS && len >= DNS_HEADER_BYTES)
		forward->outcome = UPSTREAM_ANSWERED;
	else if (status == ARES_ETIMEOUT)
		forward->outcome = UPSTREAM_TIMEOUT;
	else
		forward->outcome = UPSTREAM_FAILED;
	if (ares_loop_finish(forward->upstream->loop, &forward->job)) {
		if (forward->outcome == UPSTREAM_ANSWERED) {
			memcpy(bytes, forward->id, sizeof(forward->id));
			forward_report(forward, UPSTREAM_ANSWERED, bytes, (size_t)len);
		} else {
			forward_report(forward, forward->outcome, NULL, 0);
		}
	}
	forward_unref(forward);
}

int upstream_new(sd_event *event, const struct upstream_settings *settings,
		 struct upstream **ret_upstream)
{
	_cleanup_(upstream_freep) struct upstream *upstream = calloc(1, sizeof(*upstream));
	const struct ares_loop_settings loop = {
		.timeout_ms = settings->timeout_ms,
		.source = settings->source,
		.queries_each = QUERIES_EACH,
		.channels_max = CHANNELS_MAX,
		.fn = on_job,
		.ctx = upstream,
	};
	int r;

	if (!upstream)
		return -ENOMEM;
	upstream->in_flight_max = settings->in_flight_max;
	r = ares_loop_open(event, &settings->servers, &loop, &upstream->loop);
	if (r < 0)
		return r;
	*ret_upstream = TAKE_PTR(upstream);
	return 0;
}

void upstream_free(struct upstream *upstream)
{
	if (!upstream)
		return;
	upstream->closing = true;
	ares_loop_close(upstream->loop);
	free(upstream);
}

int upstream_forward(struct upstream *upstream, const uint8_t *query, size_t len, upstream_fn fn,
		     void *ctx)
{
	_cleanup_(freep) uint8_t *copy = NULL;
	_cleanup_(freep) struct forward *forward = NULL;
	uint16_t id = (uint16_t)arc4random();
	ares_channel channel;
	int r;

	if (len < DNS_HEADER_BYTES || len > DNS_QUERY_MAX)
		return -EBADMSG;
	if (upstream->in_flight >= upstream->in_flight_max)
		return -EBUSY;
	copy = malloc(len);
	forward = calloc(1, sizeof(*forward));
	if (!copy || !forward)
		return -ENOMEM;
	r = ares_loop_begin(upstream->loop, 1, &channel);
	if (r < 0)
		return r;
	*forward = (struct forward){
		.upstream = upstream,
		.fn = fn,
		.ctx = ctx,
		.refs = 2,
		.outcome = UPSTREAM_TIMEOUT,
	};
	memcpy(forward->id, query, sizeof(forward->id));
	memcpy(copy, query, len);
	memcpy(copy, &id, sizeof(id));

	upstream->in_flight++;
	ares_loop_add(upstream->loop, &forward->job);
	ares_send(channel, copy, (int)len, on_reply, TAKE_PTR(forward));
	ares_loop_end(upstream->loop);
	return 0;
}

unsigned int upstream_in_flight(const struct upstream *upstream)
{
	return upstream ? upstream->in_flight : 0;
}
