/* SPDX-License-Identifier: BSD-2-Clause */
/* What has to be done beside requests: upcalls of the programs, changes of interfaces, ended
 * sessions, a wall clock that was set, and counts of refusals for monitors. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>

#include "core/split.h"
#include "daemon/daemon.h"

#define UPCALLS_AT_ONCE   256
#define SWEEP_WORK        65536   /* at a time: others want to be served meanwhile */
#define SWEEP_INTERVAL_US 1000000 /* between passes over the table */
#define SWEEP_YIELD_US    1000    /* between parts of a pass */

/* ---- upcalls ---- */

static void on_held(struct daemon *d, const struct fq_upcall *u)
{
	const struct held_offer offer = {
		.bytes = u->frame,
		.len = u->len,
		.l3_offset = u->l3_offset,
		.ifindex = u->ifindex,
	};

	if (edge_packet(d->edge, &u->proxy, &offer, instant_now()) < 0)
		dataplane_count(d->dp, FQ_R_HELD_DROPPED, 1);
}

/* Send an IP packet, by the route or by the gateway that its frame names. */
static int send_packet(struct daemon *d, const struct fq_upcall *u, const uint8_t *l3, size_t len)
{
	if (u->kind == FQ_UPCALL_VIA)
		return dataplane_send_via(d->dp, u->frame, l3, len, u->ifindex);
	return dataplane_send_l3(d->dp, l3, len);
}

/*
 * Of the fragments that an IPv6 packet becomes: in the upper half, because the programs give
 * fragments that they translate numbers of 16 bits (RFC 8200 4.5: different ones).
 */
static uint32_t new_fragment_id(void)
{
	static uint32_t last;

	if (!last && getrandom(&last, sizeof(last), 0) < 0)
		last = (uint32_t)instant_now().ns;
	return ++last | 1U << 31;
}

/* A packet that is larger than the next hop takes, in parts. */
static int send_parts(struct daemon *d, const struct fq_upcall *u, const uint8_t *l3, size_t len)
{
	uint8_t part[FQ_HOLD_FRAME_MAX];
	struct split split;
	size_t n;
	int r = split_begin(l3, len, u->mtu, new_fragment_id(), &split);

	while (r >= 0 && (n = split_next(&split, part, sizeof(part))))
		r = send_packet(d, u, part, n);
	return r;
}

static void on_slow(struct daemon *d, const struct fq_upcall *u)
{
	const uint8_t *l3 = u->frame + u->l3_offset;
	size_t len = u->len - u->l3_offset;
	/* An ICMP error has been cut meanwhile: what fits gets no Fragment header (RFC 8021). */
	bool fits = !u->mtu || len <= u->mtu;
	int r = fits ? send_packet(d, u, l3, len) : send_parts(d, u, l3, len);

	if (r < 0)
		log_limited(LOG_WARNING, "translated packet cannot be sent", log_errno(r));
}

static void on_session(struct daemon *d, const struct fq_upcall *u)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	struct dname name;
	struct fq_tuple t;

	if (!monitor_wanted(d) || u->len < sizeof(t))
		return;
	memcpy(&t, u->frame, sizeof(t));
	monitor_publish(d, json_pack("{s:s, s:i, s:s, s:i, s:s, s:i, s:s?}", "event", "session",
				     "protocol", t.proto, "client", ipaddr_format(&t.src, src),
				     "client_port", be16toh(t.sport), "proxy",
				     ipaddr_format(&t.dst, dst), "port", be16toh(t.dport), "domain",
				     name_of_domain(d, u->domain, &name) ? name.text : NULL));
}

static void on_upcall(void *ctx, const struct fq_upcall *u)
{
	struct daemon *d = ctx;

	switch (u->kind) {
	case FQ_UPCALL_HOLD:
		on_held(d, u);
		break;
	case FQ_UPCALL_SLOW:
	case FQ_UPCALL_VIA:
		on_slow(d, u);
		break;
	case FQ_UPCALL_TOUCH:
		if (u->gateway)
			/* The kernel has been asked for the neighbour; does the gateway answer? */
			gateways_wanted(d, u->gateway);
		else
			(void)edge_touch(d->edge, u->domain, instant_now());
		break;
	case FQ_UPCALL_SESSION:
		on_session(d, u);
		break;
	case FQ_UPCALL_FRAGMENT:
		fragment_arrived(d, u);
		break;
	case FQ_UPCALL_FIRST:
		fragment_first_arrived(d, u);
		break;
	}
}

static int on_upcalls(sd_event_source *s, int fd, uint32_t revents, void *ctx)
{
	struct daemon *d = ctx;

	(void)s;
	(void)fd;
	(void)revents;
	(void)dataplane_upcalls_poll(d->dp, on_upcall, d, UPCALLS_AT_ONCE);
	daemon_pump(d);
	return 0;
}

/* ---- interfaces and addresses ---- */

static int on_netlink(sd_event_source *s, int fd, uint32_t revents, void *ctx)
{
	struct daemon *d = ctx;
	int r;

	(void)s;
	(void)fd;
	(void)revents;
	r = dataplane_netlink_ready(d->dp, links_changed, d);
	if (r < 0)
		log_limited(LOG_WARNING, "cannot follow interfaces and addresses", log_errno(r));
	return 0;
}

/* Routes, neighbours...: the programs are to ask the kernel anew. */
static int on_hops(sd_event_source *s, int fd, uint32_t revents, void *ctx)
{
	struct daemon *d = ctx;
	int r;

	(void)s;
	(void)fd;
	(void)revents;
	r = dataplane_hops_ready(d->dp);
	if (r < 0)
		log_limited(LOG_WARNING, "cannot follow routes and neighbours", log_errno(r));
	return 0;
}

/* Nobody but us would tell the programs. If we cannot, they soon ask the kernel for every packet.
 */
static void trust_hops(struct daemon *d)
{
	int r = dataplane_hops_trust(d->dp);

	if (r < 0)
		log_limited(LOG_WARNING, "cannot follow routes and neighbours", log_errno(r));
}

/*
 * What no message tells of: the peer of a veth stops taking redirected frames, or begins to. With
 * many interfaces it is looked for less often, so that it never takes more than a hundredth of the
 * time.
 */
static void look_at_peers(struct daemon *d)
{
	struct instant now = instant_now();
	int r;

	if (!instant_reached(d->peers_at, now))
		return;
	r = dataplane_redirect_refresh(d->dp);
	if (r < 0)
		log_limited(LOG_WARNING, "cannot see who takes redirected frames", log_errno(r));
	d->peers_at = instant_add(now, 100 * instant_sub(instant_now(), now));
}

/* ---- time ---- */

static int on_deadline(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct instant now = instant_now();
	struct daemon *d = ctx;

	(void)s;
	(void)usec;
	(void)edge_tick(d->edge, now);
	(void)gateway_tick(d->gateway, now);
	gateways_tick(d, now);
	daemon_pump_gather(d);
	return 0;
}

/* Monitors are told once a second what was refused or dropped, not of every packet. */
static void report_refusals(struct daemon *d)
{
	static const struct {
		const char *name;
		enum fq_reason_class class;
	} reasons[FQ_REASON_MAX] = {
#define X(id, n, c, text) [FQ_R_##id] = {n, FQ_CLASS_##c},
		FQ_REASONS(X)
#undef X
	};
	struct fq_count now[FQ_REASON_MAX];

	if (dpview_stats(d->view, now) < 0)
		return;
	for (unsigned int i = 1; i < FQ_REASON_MAX; i++) {
		uint64_t packets = now[i].packets - d->reported[i].packets;

		if (packets && monitor_wanted(d) &&
		    (reasons[i].class == FQ_CLASS_REFUSE || reasons[i].class == FQ_CLASS_DROP))
			monitor_publish(d,
					json_pack("{s:s, s:s, s:I}", "event", "refused", "reason",
						  reasons[i].name, "packets", (json_int_t)packets));
		d->reported[i] = now[i];
	}
}

static int on_sweep(sd_event_source *s, uint64_t usec, void *ctx)
{
	struct daemon *d = ctx;
	struct dp_sweep sweep;
	uint64_t pause;

	(void)usec;
	sweep = dataplane_sweep(d->dp, instant_now(), SWEEP_WORK);
	if (sweep.expired && monitor_wanted(d))
		monitor_publish(d, json_pack("{s:s, s:I}", "event", "expired", "sessions",
					     (json_int_t)sweep.expired));
	trust_hops(d);
	pause = sweep.pass_done ? SWEEP_INTERVAL_US : SWEEP_YIELD_US;
	if (pause == SWEEP_INTERVAL_US) {
		dataplane_grants_look(d->dp);
		report_refusals(d);
		dns_report(d);
		control_report(d);
		fragments_tick(d);
		look_at_peers(d);
		/* Nobody may be waiting for the store to be written, but somebody may be reading
		 * it. */
		daemon_pump(d);
	}
	(void)sd_event_source_set_time_relative(s, pause);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int clock_watch(int fd)
{
	const struct itimerspec far = {.it_value.tv_sec = INT64_MAX / NSEC_PER_SEC};

	if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL) < 0)
		return -errno;
	return 0;
}

/* The wall clock was set: expiry dates of grants fall on other instants. */
static int on_clock_set(sd_event_source *s, int fd, uint32_t revents, void *ctx)
{
	struct daemon *d = ctx;
	uint64_t n;

	(void)s;
	(void)revents;
	if (read(fd, &n, sizeof(n)) < 0 && errno == ECANCELED) {
		log_event(LOG_INFO, "wall clock was set; grants are checked again");
		(void)policy_apply(d);
		daemon_pump(d);
	}
	return clock_watch(fd);
}

static int clock_start(struct daemon *d)
{
	int r;

	d->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (d->clock_fd < 0)
		return -errno;
	r = clock_watch(d->clock_fd);
	if (r < 0)
		return r;
	return sd_event_add_io(d->event, &d->clock, d->clock_fd, EPOLLIN, on_clock_set, d);
}

/* After every event: the programs tell of sessions only while somebody listens. */
static int after_event(sd_event_source *s, void *ctx)
{
	struct daemon *d = ctx;

	(void)s;
	dataplane_monitor(d->dp, monitor_wanted(d));
	return 0;
}

int chores_start(struct daemon *d)
{
	int r;

	r = sd_event_add_io(d->event, &d->upcalls, dataplane_upcalls_fd(d->dp), EPOLLIN, on_upcalls,
			    d);
	if (r >= 0)
		r = sd_event_add_io(d->event, &d->netlink, dataplane_netlink_fd(d->dp), EPOLLIN,
				    on_netlink, d);
	if (r >= 0)
		r = sd_event_add_io(d->event, &d->hops, dataplane_hops_fd(d->dp), EPOLLIN, on_hops,
				    d);
	if (r >= 0)
		r = sd_event_add_time_relative(d->event, &d->sweep, CLOCK_MONOTONIC,
					       SWEEP_INTERVAL_US, SWEEP_YIELD_US, on_sweep, d);
	if (r >= 0)
		r = sd_event_add_time(d->event, &d->deadline, CLOCK_MONOTONIC, UINT64_MAX, 1000,
				      on_deadline, d);
	if (r >= 0)
		r = sd_event_add_post(d->event, NULL, after_event, d);
	if (r >= 0)
		r = clock_start(d);
	return r < 0 ? r : 0;
}
