/* SPDX-License-Identifier: BSD-2-Clause */
/* The peers of the control transport: who they are, what is kept of them across a reload. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/ipaddr.h"
#include "io/control_udp_impl.h"

static void peer_free(struct control_peer *peer)
{
	if (!peer)
		return;
	control_socket_close(peer);
	seal_done(&peer->seal);
	sodium_memzero(peer->key, sizeof(peer->key));
	free(peer);
}

void control_peers_done(struct control_peers *peers)
{
	for (size_t i = 0; i < peers->count; i++)
		peer_free(peers->by_id[i]);
	free(peers->by_id);
	free(peers->by_addr);
	*peers = (struct control_peers){0};
}

static int compare_id(const void *a, const void *b)
{
	const struct control_peer *const *p = a, *const *q = b;

	return ((*p)->id > (*q)->id) - ((*p)->id < (*q)->id);
}

static int compare_addr(const void *a, const void *b)
{
	const struct control_peer *const *p = a, *const *q = b;

	return ipaddr_cmp(&(*p)->addr, &(*q)->addr);
}

static struct control_peer *find(struct control_peer **sorted, size_t count,
				 const struct control_peer *key,
				 int (*compare)(const void *, const void *))
{
	struct control_peer **found = NULL;

	if (count > 0)
		found = bsearch(&key, sorted, count, sizeof(sorted[0]), compare);
	return found ? *found : NULL;
}

struct control_peer *control_peers_by_id(const struct control_peers *peers, uint32_t id)
{
	const struct control_peer key = {.id = id};

	return find(peers->by_id, peers->count, &key, compare_id);
}

struct control_peer *control_peers_by_addr(const struct control_peers *peers,
					   const struct fq_addr *addr)
{
	const struct control_peer key = {.addr = *addr};

	return find(peers->by_addr, peers->count, &key, compare_addr);
}

bool control_peer_admit(struct control_peer *peer, struct instant now)
{
	int64_t earned = instant_sub(now, peer->seen);

	peer->seen = now;
	peer->credit_ns = earned >= peer->credit_max_ns - peer->credit_ns
				  ? peer->credit_max_ns
				  : peer->credit_ns + earned;
	if (peer->credit_ns < peer->cost_ns)
		return false;
	peer->credit_ns -= peer->cost_ns;
	return true;
}

static void set_rate(struct control_peer *peer, const struct control_udp_peer *wanted)
{
	unsigned int rate = wanted->per_second ? wanted->per_second : CONTROL_UDP_RATE;
	unsigned int burst = wanted->burst ? wanted->burst : 2 * rate;

	_Static_assert(CONTROL_UDP_BURST == 2 * CONTROL_UDP_RATE, "what is said of the default");
	peer->cost_ns = NSEC_PER_SEC / rate;
	peer->credit_max_ns = peer->credit_ns = peer->cost_ns * burst;
}

bool control_addr_is_wildcard(const struct fq_addr *addr)
{
	return ipaddr_is_zero(addr) || (ipaddr_is_v4(addr) && addr->w[3] == 0);
}

static int peer_new(struct control_udp *udp, const struct control_udp_peer *wanted, uint64_t epoch,
		    struct control_peer **ret_peer)
{
	bool edge = udp->settings.role == CONTROL_ROLE_EDGE;
	struct control_peer *peer;
	int r;

	if (control_addr_is_wildcard(&wanted->addr) || (edge && wanted->port == 0))
		return -EINVAL;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	*peer = (struct control_peer){
		.udp = udp,
		.id = wanted->id,
		.addr = wanted->addr,
		.port = edge ? wanted->port : 0,
		.keyed = wanted->key,
		.incarnation = wanted->incarnation,
		.hello_at = {INT64_MIN},
		.fd = -1,
	};
	set_rate(peer, wanted);
	if (peer->keyed) {
		memcpy(peer->key, wanted->key, sizeof(peer->key));
		r = seal_init(&peer->seal, edge ? SEAL_EDGE : SEAL_GATEWAY, peer->key, epoch);
		if (r < 0) {
			peer_free(peer);
			return r;
		}
	}
	*ret_peer = peer;
	return 0;
}

/* Sort, and see that nobody is there twice. */
static int peers_sort(struct control_peers *peers)
{
	memcpy(peers->by_addr, peers->by_id, peers->count * sizeof(peers->by_id[0]));
	qsort(peers->by_id, peers->count, sizeof(peers->by_id[0]), compare_id);
	qsort(peers->by_addr, peers->count, sizeof(peers->by_addr[0]), compare_addr);
	for (size_t i = 1; i < peers->count; i++)
		if (compare_id(&peers->by_id[i - 1], &peers->by_id[i]) == 0 ||
		    compare_addr(&peers->by_addr[i - 1], &peers->by_addr[i]) == 0)
			return -EEXIST;
	return 0;
}

static int peers_make(struct control_udp *udp, const struct control_udp_peer *wanted, size_t count,
		      uint64_t epoch, struct control_peers *peers)
{
	int r;

	if (epoch == 0)
		return -EINVAL;
	if (count == 0)
		return 0;
	peers->by_id = calloc(count, sizeof(peers->by_id[0]));
	peers->by_addr = calloc(count, sizeof(peers->by_addr[0]));
	if (!peers->by_id || !peers->by_addr)
		return -ENOMEM;
	for (; peers->count < count; peers->count++) {
		r = peer_new(udp, &wanted[peers->count], epoch, &peers->by_id[peers->count]);
		if (r < 0)
			return r;
	}
	return peers_sort(peers);
}

/* Same machine, same key? */
static bool same(const struct control_peer *a, const struct control_peer *b)
{
	return ipaddr_equal(&a->addr, &b->addr) && a->keyed == b->keyed &&
	       (a->udp->settings.role == CONTROL_ROLE_GATEWAY || a->port == b->port) &&
	       sodium_memcmp(a->key, b->key, sizeof(a->key)) == 0;
}

/* What @old, which goes, leaves to @peer, which takes its place. */
static void inherit(struct control_peer *peer, struct control_peer *old)
{
	peer->counters = old->counters;
	if (!same(peer, old))
		return;
	peer->port = old->port;
	peer->seal = old->seal;
	peer->hello_at = old->hello_at;
	peer->fd = TAKE_FD(old->fd);
	peer->source = TAKE_PTR(old->source);
	if (peer->source)
		(void)sd_event_source_set_userdata(peer->source, peer);
}

int control_udp_peers_set(struct control_udp *udp, const struct control_udp_peer *peers,
			  size_t count, uint64_t epoch)
{
	struct control_peers made = {0};
	int r;

	r = peers_make(udp, peers, count, epoch, &made);
	if (r < 0) {
		control_peers_done(&made);
		return r;
	}
	for (size_t i = 0; i < made.count; i++) {
		struct control_peer *old = control_peers_by_id(&udp->peers, made.by_id[i]->id);

		if (old)
			inherit(made.by_id[i], old);
	}
	control_peers_done(&udp->peers);
	udp->peers = made;
	return 0;
}

int control_udp_view(const struct control_udp *udp, uint32_t peer,
		     struct control_udp_view *ret_view)
{
	const struct control_peer *p = control_peers_by_id(&udp->peers, peer);

	if (!p)
		return -ENOENT;
	*ret_view = (struct control_udp_view){
		.addr = p->addr,
		.port = p->port,
		.keyed = p->keyed,
		.peer_epoch = p->seal.peer_epoch,
		.counters = p->counters,
	};
	return 0;
}

struct control_udp_totals control_udp_totals(const struct control_udp *udp)
{
	struct control_udp_totals totals = {
		.unknown_source = udp->unknown_source,
		.overflow = udp->overflow + control_socket_drops(udp->fd),
	};

	for (size_t i = 0; i < udp->peers.count; i++)
		totals.overflow += control_socket_drops(udp->peers.by_id[i]->fd);
	return totals;
}

void control_udp_counters_foreach(const struct control_udp_counters *counters,
				  void (*fn)(void *ctx, const char *name, uint64_t value),
				  void *ctx)
{
#define X(id, name) fn(ctx, "received_" name, counters->received[CONTROL_##id]);
	CONTROL_EVENTS(X)
#undef X
#define X(id, name) fn(ctx, "sent_" name, counters->sent[CONTROL_##id]);
	CONTROL_EVENTS(X)
#undef X
#define X(name, text) fn(ctx, #name, counters->name);
	CONTROL_UDP_COUNTERS(X)
#undef X
}
