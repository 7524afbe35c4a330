/* SPDX-License-Identifier: BSD-2-Clause */
/* Map entries of names, see dnslease.h. */
#include "core/dnslease.h"

#include <string.h>

#include "core/reverse.h"

_Static_assert(FQ_DNS_LEASE_NS <= EDGE_SAME_ASK_NS, "what is not heard would have changed nothing");

bool dnslease_key(const struct dname *name, struct fq_dns_key *ret_key)
{
	size_t label = 0; /* where its length stands */

	/* On the wire there is a length before the first label, and the root behind the last. */
	if (!name->len || name->len + 2 > FQ_DNS_NAME_MAX)
		return false;
	*ret_key = (struct fq_dns_key){0};
	for (size_t i = 0; i < name->len; i++) {
		if (name->text[i] == '.') {
			label = i + 1;
			continue;
		}
		ret_key->name[i + 1] = (uint8_t)name->text[i];
		ret_key->name[label]++;
	}
	return true;
}

int dnslease_name(const struct fq_dns_key *key, struct dname *ret_name)
{
	return dname_from_wire(key->name, strnlen((const char *)key->name, FQ_DNS_NAME_MAX - 1) + 1,
			       ret_name);
}

/* A family without addresses has no verdict of its own. */
static bool passes(const struct edge_domain_view *view)
{
	return view->resource_count && (!view->ipv4 || view->verdict[0] == FQ_EDGE_FORWARD) &&
	       (!view->ipv6 || view->verdict[1] == FQ_EDGE_FORWARD);
}

/*
 * For how long queries need not be heard. Where every gateway is to be asked anew at an instant
 * that is decided (EDGE_RECREATING), until then; but no longer than clients' caches would hide
 * them.
 */
static uint64_t lease_ns(const struct edge_domain_view *view, struct instant now)
{
	uint64_t ns = FQ_DNS_LEASE_MAX_NS;

	for (unsigned int i = 0; i < view->entry_count; i++) {
		struct instant due = view->entries[i].due_at;
		uint64_t left = due.ns == INSTANT_NEVER.ns ? 0 : instant_sub(due, now);

		ns = left < ns ? left : ns;
	}
	return ns < FQ_DNS_LEASE_NS ? FQ_DNS_LEASE_NS : ns;
}

static uint32_t end_of(struct instant now)
{
	return (uint32_t)((now.ns + FQ_DNS_END_NS) >> FQ_DNS_END_SHIFT);
}

bool dnslease_make(const struct edge *edge, const struct dname *name, struct instant now,
		   struct fq_dns_key *ret_key, struct fq_dns *ret_value)
{
	struct edge_domain_view view;

	if (!dnslease_key(name, ret_key) || !edge_find_name(edge, name, &view) || !passes(&view))
		return false;
	*ret_value = (struct fq_dns){
		.renew_at = now.ns + lease_ns(&view, now),
		.end = end_of(now),
		.ipv4 = view.ipv4,
		.ipv6 = view.ipv6,
	};
	for (unsigned int i = 0; i < PROXIES_V4; i++)
		ret_value->v4[i] = view.proxies->addr[i].w[3];
	memcpy(ret_value->v6, view.proxies->addr + PROXIES_V4, sizeof(ret_value->v6));
	return true;
}

/* Would the library have a pointer for its end, because the question ends so, too? */
static bool ends_like_reverse(const struct dname *name)
{
	static const char arpa[] = ".arpa";
	size_t len = sizeof(arpa) - 1;

	return strcmp(name->text, arpa + 1) == 0 ||
	       (name->len > len && strcmp(name->text + name->len - len, arpa) == 0);
}

bool dnslease_make_ptr(const struct edge *edge, const struct dname *name, struct instant now,
		       struct fq_addr *ret_proxy, struct fq_dns_ptr *ret_value)
{
	struct edge_domain_view view;
	struct fq_dns_key wire;

	/* Is the question about a domain, too, then the edge is to hear it. */
	if (edge_knows(edge, name) || !reverse_parse(name, ret_proxy) ||
	    !edge_find_proxy(edge, ret_proxy, &view) || !dnslease_key(view.name, &wire) ||
	    ends_like_reverse(view.name))
		return false;
	/* The question is about another name than the domain's: to hear it changes nothing. */
	*ret_value = (struct fq_dns_ptr){
		.renew_at = now.ns + FQ_DNS_LEASE_MAX_NS,
		.end = end_of(now),
		.len = (uint8_t)(view.name->len + 2),
	};
	memcpy(ret_value->name, wire.name, sizeof(ret_value->name));
	return true;
}
