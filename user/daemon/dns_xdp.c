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

static void keep_ptr(struct daemon *d, const struct dname *name)
{
	struct fq_addr proxy;
	struct fq_dns_ptr value;

	if (dnslease_make_ptr(d->edge, name, instant_now(), &proxy, &value))
		(void)dataplane_dns_ptr_set(d->dp, &proxy, &value);
}

void dns_xdp_answered(struct daemon *d, const struct stub_reply *reply, struct dns_leases *leases)
{
	unsigned int i = leases->count;

	if (!d->dns_xdp)
		return;
	if (reply->qtype == TYPE_PTR)
		keep_ptr(d, &reply->name);
	else if (dnslease_make(d->edge, &reply->name, instant_now(), &leases->keys[i],
			       &leases->values[i]))
		leases->count++;
}

void dns_xdp_keep(struct daemon *d, struct dns_leases *leases)
{
	/* Where there is no room, queries are answered as ever. */
	if (leases->count)
		(void)dataplane_dns_set(d->dp, leases->keys, leases->values, leases->count);
}

void dns_xdp_changed(struct daemon *d, const struct dname *name)
{
	struct fq_dns_key key;
	int r = d->dns_xdp && dnslease_key(name, &key) ? dataplane_dns_del(d->dp, &key) : 0;

	if (r < 0)
		log_limited(LOG_ERR, "cannot have a name forgotten", log_str("domain", name->text),
			    log_errno(r));
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
