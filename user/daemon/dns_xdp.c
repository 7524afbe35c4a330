/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the XDP programs may answer. A name that the daemon has answered itself, and whose packets
 * pass, is theirs for a lease; then it is asked again. So queries do here what they have always
 * done, at most a lease later: within EDGE_SAME_ASK_NS a second one changes nothing, nor does any
 * until a gateway is asked as an earlier one has wished (core/dnslease.c).
 */
#include "core/dnslease.h"
#include "daemon/daemon.h"

#define TYPE_PTR 12 /* RFC 1035 3.2.2 */

#define ASKED_AT_ONCE 1024 /* queries, before others are served */
/* When the programs would wake it again; their clocks may be ticks apart. */
#define ASKED_LATER_US (3 * FQ_DNS_WAKE_NS / 2 / 1000)

static void keep_ptr(struct daemon *d, const struct dname *name)
{
	struct fq_addr proxy;
	struct fq_dns_ptr value;

	if (dnslease_make_ptr(d->edge, name, instant_now(), &proxy, &value))
		(void)dataplane_dns_ptr_set(d->dp, &proxy, &value);
}

static void keep_name(struct daemon *d, const struct dname *name, struct instant now)
{
	struct fq_dns_key key;
	struct fq_dns value;

	/* Where there is no room, queries are answered as ever. */
	if (dnslease_make(d->edge, name, now, &key, &value))
		(void)dataplane_dns_set(d->dp, &key, &value);
}

void dns_xdp_answered(struct daemon *d, const struct stub_reply *reply)
{
	if (!d->dns_xdp)
		return;
	if (reply->qtype == TYPE_PTR)
		keep_ptr(d, &reply->name);
	else
		keep_name(d, &reply->name, instant_now());
}

/*
 * A query at the end of a lease, as if it had come here. Not if something has changed since: it was
 * asked before that, and a domain that has failed is left alone until it is asked for then.
 */
static void heard(void *ctx, const struct fq_dns_key *key)
{
	struct instant now = instant_now();
	struct daemon *d = ctx;
	struct fq_dns before;
	struct dname name;

	if (!d->dns_xdp || !dataplane_dns_get(d->dp, key, &before) ||
	    dnslease_name(key, &name) < 0 || edge_requery(d->edge, &name, now) < 0)
		return;
	dataplane_count(d->dp, FQ_R_DNS_HEARD, 1);
	keep_name(d, &name, now);
}

/* All that the programs have told, but others are to be served, too. */
static int hear(struct daemon *d)
{
	unsigned int n = 0, more = DNS_TOGETHER;

	while (n < ASKED_AT_ONCE && more == DNS_TOGETHER) {
		more = dataplane_dns_asked_poll(d->dp, heard, d, DNS_TOGETHER);
		daemon_pump_gather(d);
		n += more;
	}
	if (!n)
		return 0;
	(void)sd_event_source_set_time_relative(d->dns_asked_later,
						more == DNS_TOGETHER ? 0 : ASKED_LATER_US);
	return sd_event_source_set_enabled(d->dns_asked_later, SD_EVENT_ONESHOT);
}

static int on_asked(sd_event_source *s, int fd, uint32_t revents, void *ctx)
{
	(void)s;
	(void)fd;
	(void)revents;
	return hear(ctx);
}

static int on_asked_later(sd_event_source *s, uint64_t usec, void *ctx)
{
	(void)s;
	(void)usec;
	return hear(ctx);
}

int dns_xdp_start(struct daemon *d)
{
	int r = sd_event_add_io(d->event, &d->dns_asked, dataplane_dns_asked_fd(d->dp), EPOLLIN,
				on_asked, d);

	if (r >= 0)
		r = sd_event_add_time(d->event, &d->dns_asked_later, CLOCK_MONOTONIC, UINT64_MAX,
				      1000, on_asked_later, d);
	return r < 0 ? r : 0;
}

void dns_xdp_stop(struct daemon *d)
{
	d->dns_asked = sd_event_source_unref(d->dns_asked);
	d->dns_asked_later = sd_event_source_unref(d->dns_asked_later);
}

void dns_xdp_changed(struct daemon *d, const struct dname *name)
{
	struct fq_dns_key key;

	if (d->dns_xdp && dnslease_key(name, &key))
		dataplane_dns_del(d->dp, &key);
}

void dns_xdp_gone(struct daemon *d, const struct dname *name, const struct proxies *proxies)
{
	int r = 0;

	dns_xdp_changed(d, name);
	for (unsigned int i = 0; d->dns_xdp && i < proxies->count; i++) {
		int err = dataplane_dns_ptr_del(d->dp, &proxies->addr[i]);

		r = r < 0 ? r : err;
	}
	if (r < 0)
		log_limited(LOG_ERR, "cannot have addresses of a name forgotten",
			    log_str("domain", name->text), log_errno(r));
}

/* An address of all interfaces stands for none: which ones it means is the kernel's affair. */
static unsigned int addresses(const struct config *c, struct fq_addr addrs[CONFIG_LISTEN_MAX])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < c->edge.dns.listen_count; i++)
		if (c->edge.dns.listen[i].port == DNS_PORT_XDP)
			addrs[n++] = c->edge.dns.listen[i].addr;
	return n;
}

int dns_xdp_apply(struct daemon *d)
{
	const struct config *c = d->config;
	struct fq_addr addrs[CONFIG_LISTEN_MAX];
	int r = dataplane_dns_listen(d->dp, NULL, 0);

	if (r == 0)
		r = dataplane_dns_clear(d->dp);
	/* The programs know clients, and no other list of who may ask. */
	d->dns_xdp = r == 0 && c->has_edge && c->edge.dns.xdp && !c->edge.dns.allow_count;
	if (d->dns_xdp)
		r = dataplane_dns_listen(d->dp, addrs, addresses(c, addrs));
	dataplane_policy_changed(d->dp); /* the programs remember who may ask where */
	if (r < 0)
		log_event(LOG_ERR, "DNS queries are not answered in XDP", log_errno(r));
	return r;
}
