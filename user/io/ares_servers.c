/* SPDX-License-Identifier: BSD-2-Clause */
/* The DNS servers that are asked, see ares_servers.h. */
#include "io/ares_servers.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ipaddr.h"

/* Our own listeners, and the addresses of this host if one of them is a wildcard. */
struct own {
	const struct dns_listen *listen;
	unsigned int count;
	struct ifaddrs *host;
};

/* "addr", "addr:port" (IPv4) or "[addr]:port". */
static int server_parse(const char *text, struct fq_addr *ret_addr, uint16_t *ret_port)
{
	char host[IPADDR_STRLEN + 2];
	const char *colon = strrchr(text, ':');
	const char *end = text + strlen(text);
	unsigned long port = DNS_PORT;
	bool bracket = *text == '[';

	if (colon && (bracket ? colon[-1] == ']' : strchr(text, ':') == colon)) {
		char *rest;

		port = strtoul(colon + 1, &rest, 10);
		if (colon[1] < '0' || colon[1] > '9' || *rest || port < 1 || port > 65535)
			return -EINVAL;
		end = colon;
	}
	if (bracket && (end - text < 2 || end[-1] != ']'))
		return -EINVAL;
	text += bracket;
	end -= bracket;
	if (end <= text || (size_t)(end - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, end - text);
	host[end - text] = '\0';
	*ret_port = port;
	return ipaddr_parse(host, ret_addr);
}

static bool is_any4(const struct fq_addr *a)
{
	static const struct fq_addr any4 = {.b = {[10] = 0xff, [11] = 0xff}};

	return ipaddr_equal(a, &any4);
}

static bool is_wildcard(const struct fq_addr *a)
{
	return ipaddr_is_zero(a) || is_any4(a);
}

/* Who asks the wildcard address asks the loopback interface (RFC 1122 3.2.1.3). */
static struct fq_addr destination(const struct fq_addr *a)
{
	static const struct fq_addr one4 = {.b = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
	static const struct fq_addr one6 = {.b = {[15] = 1}};

	return ipaddr_is_zero(a) ? one6 : is_any4(a) ? one4 : *a;
}

static bool is_of_host(const struct own *own, const struct fq_addr *a)
{
	if (ipaddr_is_v4(a) && a->b[12] == 127)
		return true;
	for (const struct ifaddrs *i = own->host; i; i = i->ifa_next) {
		struct fq_addr addr;
		uint16_t port;

		if (i->ifa_addr && ipaddr_from_sockaddr(i->ifa_addr, &addr, &port) == 0 &&
		    ipaddr_equal(&addr, a))
			return true;
	}
	return false;
}

static bool is_own(const struct own *own, const struct fq_addr *server, uint16_t port)
{
	struct fq_addr addr = destination(server);

	for (unsigned int i = 0; i < own->count; i++) {
		const struct fq_addr *listen = &own->listen[i].addr;

		if (own->listen[i].port != port)
			continue;
		if (ipaddr_equal(listen, &addr))
			return true;
		/* :: hears both families */
		if ((ipaddr_is_zero(listen) || (is_any4(listen) && ipaddr_is_v4(&addr))) &&
		    is_of_host(own, &addr))
			return true;
	}
	return false;
}

static void server_append(struct ares_servers *list, const struct own *own,
			  const struct fq_addr *addr, uint16_t port)
{
	struct ares_addr_port_node *node = &list->node[list->count];

	if (list->count == ARES_SERVERS_MAX || is_own(own, addr, port))
		return;
	*node = (struct ares_addr_port_node){.udp_port = port, .tcp_port = port};
	if (ipaddr_is_v4(addr)) {
		node->family = AF_INET;
		memcpy(&node->addr.addr4, addr->b + 12, 4);
	} else {
		node->family = AF_INET6;
		memcpy(&node->addr.addr6, addr->b, 16);
	}
	if (list->count)
		list->node[list->count - 1].next = node;
	list->count++;
}

/* What c-ares reads from resolv.conf(5) when it is not told anything. */
static int server_append_system(struct ares_servers *list, const struct own *own)
{
	struct ares_addr_port_node *nodes = NULL;
	ares_channel channel;
	int r;

	if (ares_init(&channel) != ARES_SUCCESS)
		return -ENOMEM;
	r = ares_get_servers_ports(channel, &nodes);
	ares_destroy(channel);
	if (r != ARES_SUCCESS)
		return -ENOMEM;
	for (struct ares_addr_port_node *n = nodes; n; n = n->next) {
		struct fq_addr addr = n->family == AF_INET ? ipaddr_from_v4(&n->addr.addr4)
							   : ipaddr_from_v6(&n->addr.addr6);

		server_append(list, own, &addr, n->udp_port > 0 ? n->udp_port : DNS_PORT);
	}
	ares_free_data(nodes);
	return 0;
}

static int append_all(struct ares_servers *list, const struct dns_servers *servers,
		      const struct own *own)
{
	int r = 0;

	if (!servers->count)
		r = server_append_system(list, own);
	for (unsigned int i = 0; i < servers->count && r == 0; i++) {
		struct fq_addr addr;
		uint16_t port;

		if (strcmp(servers->text[i], "system") == 0) {
			r = server_append_system(list, own);
			continue;
		}
		r = server_parse(servers->text[i], &addr, &port);
		if (r == 0)
			server_append(list, own, &addr, port);
	}
	return r;
}

int ares_servers_make(const struct dns_servers *servers, struct ares_servers *ret_list)
{
	struct own own = {.listen = servers->own, .count = servers->own_count};
	int r = 0;

	*ret_list = (struct ares_servers){0};
	for (unsigned int i = 0; i < own.count; i++)
		if (is_wildcard(&own.listen[i].addr) && !own.host && getifaddrs(&own.host) < 0)
			return -errno;
	r = append_all(ret_list, servers, &own);
	if (own.host)
		freeifaddrs(own.host);
	if (r == 0 && !ret_list->count)
		r = -EDESTADDRREQ;
	return r;
}
