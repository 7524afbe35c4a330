/* SPDX-License-Identifier: BSD-2-Clause */
/* What the XDP programs answer DNS queries from: names, and the addresses they are asked at. */
#include <errno.h>

#include "dataplane/internal.h"

static int delete_entry(struct dataplane *dp, enum dp_map map, const void *key)
{
	return bpf_map_delete_elem(dp->maps[map], key) < 0 && errno != ENOENT ? -errno : 0;
}

int dataplane_dns_set(struct dataplane *dp, const struct fq_dns_key *keys,
		      const struct fq_dns *values, unsigned int count)
{
	uint32_t n = count;
	int r = 0;

	if (count > 1 && bpf_map_update_batch(dp->maps[M_DNS], keys, values, &n, NULL) == 0)
		return 0;
	/* It stops at one that cannot be set; others can. */
	for (unsigned int i = 0; i < count; i++)
		if (bpf_map_update_elem(dp->maps[M_DNS], &keys[i], &values[i], BPF_ANY) < 0)
			r = -errno;
	return r;
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

int dataplane_dns_del(struct dataplane *dp, const struct fq_dns_key *key)
{
	return delete_entry(dp, M_DNS, key);
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
	int r = clear(dp, M_DNS), err = clear(dp, M_DNS_PTR);

	return r < 0 ? r : err;
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
