/* SPDX-License-Identifier: BSD-2-Clause */
/* What the XDP programs answer DNS queries from: names, and the addresses they are asked at. */
#include <errno.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "dataplane/internal.h"

static int delete_entry(struct dataplane *dp, enum dp_map map, const void *key)
{
	return bpf_map_delete_elem(dp->maps[map], key) < 0 && errno != ENOENT ? -errno : 0;
}

static int asked_record(void *ctx, void *data, size_t size)
{
	struct dataplane *dp = ctx;

	if (size == sizeof(struct fq_dns_key))
		dp->asked_cb(dp->asked_ctx, data);
	/* A negative result ends the reading behind this record. */
	return --dp->asked_left ? 0 : -ECANCELED;
}

int dns_open(struct dataplane *dp)
{
	const struct dnsnames_fds fds = {dp->maps[M_DNS], dp->maps[M_DNS_NAMES]};
	const struct dp_settings *s = &dp->settings;

	dp->asked = ring_buffer__new(dp->maps[M_DNS_ASKED], asked_record, dp, NULL);
	if (!dp->asked)
		return -errno;
	return dnsnames_open(&fds, &dp->control->dns,
			     s->domains_max ? s->domains_max : DP_DOMAINS_DEFAULT,
			     &dp->user->dnsnames, &dp->dnsnames);
}

void dns_close(struct dataplane *dp)
{
	ring_buffer__free(dp->asked);
	dp->asked = NULL;
	dnsnames_free(TAKE_PTR(dp->dnsnames));
}

int dataplane_dns_asked_fd(const struct dataplane *dp)
{
	return ring_buffer__epoll_fd(dp->asked);
}

unsigned int dataplane_dns_asked_poll(struct dataplane *dp, dp_asked_fn cb, void *ctx,
				      unsigned int max)
{
	dp->asked_cb = cb;
	dp->asked_ctx = ctx;
	dp->asked_left = max ? max : 1;
	(void)ring_buffer__consume(dp->asked);
	return (max ? max : 1) - dp->asked_left;
}

int dataplane_dns_set(struct dataplane *dp, const struct fq_dns_key *key,
		      const struct fq_dns *value)
{
	return dnsnames_set(dp->dnsnames, key, value);
}

bool dataplane_dns_get(const struct dataplane *dp, const struct fq_dns_key *key,
		       struct fq_dns *ret_value)
{
	return dnsnames_get(dp->dnsnames, key, ret_value);
}

void dataplane_dns_del(struct dataplane *dp, const struct fq_dns_key *key)
{
	dnsnames_del(dp->dnsnames, key);
}

int dataplane_dns_ptr_set(struct dataplane *dp, const struct fq_addr *proxy,
			  const struct fq_dns_ptr *value)
{
	return bpf_map_update_elem(dp->maps[M_DNS_PTR], proxy, value, BPF_ANY) < 0 ? -errno : 0;
}

int dataplane_dns_ptr_del(struct dataplane *dp, const struct fq_addr *proxy)
{
	return delete_entry(dp, M_DNS_PTR, proxy);
}

struct clearing {
	struct dataplane *dp;
	enum dp_map map;
};

static int clear_one(void *ctx, const void *key, const void *value)
{
	const struct clearing *c = ctx;

	(void)value;
	return delete_entry(c->dp, c->map, key);
}

static int clear(struct dataplane *dp, enum dp_map map)
{
	struct clearing c = {.dp = dp, .map = map};

	return map_walk(map, dp->maps[map], clear_one, &c);
}

int dataplane_dns_clear(struct dataplane *dp)
{
	dnsnames_clear(dp->dnsnames);
	return clear(dp, M_DNS_PTR);
}

int dataplane_dns_listen(struct dataplane *dp, const struct fq_addr *addrs, unsigned int count)
{
	const uint32_t yes = 1;
	int r = clear(dp, M_DNS_ADDRS);

	for (unsigned int i = 0; i < count && r == 0; i++)
		if (bpf_map_update_elem(dp->maps[M_DNS_ADDRS], &addrs[i], &yes, BPF_ANY) < 0)
			r = -errno;
	return r;
}
