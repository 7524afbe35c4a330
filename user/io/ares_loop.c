/* SPDX-License-Identifier: BSD-2-Clause */
/* c-ares inside sd-event, see ares_loop.h. */
#include "io/ares_loop.h"

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
#define SERVERS_MAX       16

struct watch {
	LIST_ENTRY(watch) entry;
	struct ares_loop *loop;
	sd_event_source *source;
	int fd;
};

struct ares_loop {
	ares_channel channel;
	bool channel_open, library_open;
	bool starting;
	sd_event *event;
	sd_event_source *retry;  /* c-ares' own timeouts */
	sd_event_source *expiry; /* the first job's deadline */
	LIST_HEAD(, watch) watches;
	TAILQ_HEAD(, ares_job) jobs; /* by deadline: all have the same timeout */
	uint64_t timeout_us;
	ares_job_fn fn;
	void *ctx;
};

struct server_list {
	struct ares_addr_port_node node[SERVERS_MAX];
	struct fq_addr addr[SERVERS_MAX];
	unsigned int count;
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

static void arm_retry(struct ares_loop *loop)
{
	struct timeval tv;

	if (!ares_timeout(loop->channel, NULL, &tv)) {
		(void)sd_event_source_set_enabled(loop->retry, SD_EVENT_OFF);
		return;
	}
	arm(loop->retry, now_us() + (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec);
}

static void arm_expiry(struct ares_loop *loop)
{
	struct ares_job *first = TAILQ_FIRST(&loop->jobs);

	if (first)
		arm(loop->expiry, first->deadline_us);
	else
		(void)sd_event_source_set_enabled(loop->expiry, SD_EVENT_OFF);
}

static void process(struct ares_loop *loop, ares_socket_t readable, ares_socket_t writable)
{
	ares_process_fd(loop->channel, readable, writable);
	arm_retry(loop);
	arm_expiry(loop);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct watch *watch = userdata;

	(void)source;
	/* c-ares learns of an error by reading or writing; it may free the watch meanwhile. */
	process(watch->loop, revents & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
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
	loop->fn(loop->ctx, job);
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

static void watch_free(struct watch *watch)
{
	LIST_REMOVE(watch, entry);
	sd_event_source_disable_unref(watch->source);
	free(watch);
}

/* Without memory for a watch the query runs into its timeout, which is answer enough. */
static struct watch *watch_new(struct ares_loop *loop, int fd, uint32_t events)
{
	struct watch *watch = malloc(sizeof(*watch));

	if (!watch)
		return NULL;
	*watch = (struct watch){.loop = loop, .fd = fd};
	if (sd_event_add_io(loop->event, &watch->source, fd, events, on_io, watch) < 0) {
		free(watch);
		return NULL;
	}
	LIST_INSERT_HEAD(&loop->watches, watch, entry);
	return watch;
}

static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
	struct ares_loop *loop = data;
	uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
	struct watch *watch;

	LIST_FOREACH (watch, &loop->watches, entry)
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
		(void)watch_new(loop, fd, events);
}

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

static bool is_loopback(const struct fq_addr *a)
{
	static const struct fq_addr one = {.b = {[15] = 1}};

	return ipaddr_is_v4(a) ? a->b[12] == 127 : ipaddr_equal(a, &one);
}

/* Who listens on the wildcard address hears what is sent to a loopback address, too. */
static bool is_own(const struct dns_servers *servers, const struct fq_addr *addr, uint16_t port)
{
	static const struct fq_addr any4 = {.b = {[10] = 0xff, [11] = 0xff}};

	if (port != (servers->own_port ?: DNS_PORT))
		return false;
	for (unsigned int i = 0; i < servers->own_count; i++) {
		const struct fq_addr *own = &servers->own[i];

		if (ipaddr_equal(own, addr))
			return true;
		if (is_loopback(addr) && (ipaddr_is_zero(own) || ipaddr_equal(own, &any4)))
			return true;
	}
	return false;
}

static void server_append(struct server_list *list, const struct dns_servers *servers,
			  const struct fq_addr *addr, uint16_t port)
{
	struct ares_addr_port_node *node = &list->node[list->count];

	if (list->count == SERVERS_MAX || is_own(servers, addr, port))
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
static int server_append_system(struct server_list *list, const struct dns_servers *servers)
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

		server_append(list, servers, &addr, n->udp_port > 0 ? n->udp_port : DNS_PORT);
	}
	ares_free_data(nodes);
	return 0;
}

static int server_list_make(const struct dns_servers *servers, struct server_list *list)
{
	int r = 0;

	if (!servers->count)
		r = server_append_system(list, servers);
	for (unsigned int i = 0; i < servers->count && r == 0; i++) {
		struct fq_addr addr;
		uint16_t port;

		if (strcmp(servers->text[i], "system") == 0) {
			r = server_append_system(list, servers);
			continue;
		}
		r = server_parse(servers->text[i], &addr, &port);
		if (r == 0)
			server_append(list, servers, &addr, port);
	}
	if (r == 0 && !list->count)
		r = -EDESTADDRREQ;
	return r;
}

static int channel_open(struct ares_loop *loop, const struct server_list *list, uint64_t timeout_ms)
{
	uint64_t try_ms = timeout_ms / (TRY_UNITS * list->count);
	struct ares_options options = {
		/*
		 * With a single server its answer is taken whatever the RCODE; with several,
		 * one that answers SERVFAIL, REFUSED or NOTIMP is passed over.
		 */
		.flags = list->count == 1 ? ARES_FLAG_NOCHECKRESP : 0,
		.timeout = (int)(try_ms > TRY_MIN_MS ? try_ms : TRY_MIN_MS),
		.tries = TRIES,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = loop,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;

	if (ares_init_options(&loop->channel, &options, mask) != ARES_SUCCESS)
		return -ENOMEM;
	loop->channel_open = true;
	if (ares_set_servers_ports(loop->channel, (struct ares_addr_port_node *)list->node) !=
	    ARES_SUCCESS)
		return -ENOMEM;
	return 0;
}

static int timer_open(sd_event *event, sd_event_source **source, sd_event_time_handler_t fn,
		      struct ares_loop *loop)
{
	int r;

	r = sd_event_add_time(event, source, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_US, fn, loop);
	if (r < 0)
		return r;
	return sd_event_source_set_enabled(*source, SD_EVENT_OFF);
}

int ares_loop_open(sd_event *event, const struct dns_servers *servers, uint64_t timeout_ms,
		   ares_job_fn fn, void *ctx, struct ares_loop **ret_loop)
{
	_cleanup_(ares_loop_closep) struct ares_loop *loop = calloc(1, sizeof(*loop));
	struct server_list list = {0};
	int r;

	if (!loop)
		return -ENOMEM;
	LIST_INIT(&loop->watches);
	TAILQ_INIT(&loop->jobs);
	loop->event = sd_event_ref(event);
	loop->timeout_us = timeout_ms * 1000;
	loop->fn = fn;
	loop->ctx = ctx;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
		return -ENOMEM;
	loop->library_open = true;

	r = server_list_make(servers, &list);
	if (r < 0)
		return r;
	r = timer_open(event, &loop->retry, on_retry, loop);
	if (r < 0)
		return r;
	r = timer_open(event, &loop->expiry, on_expiry, loop);
	if (r < 0)
		return r;
	r = channel_open(loop, &list, timeout_ms);
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
	if (loop->channel_open)
		ares_destroy(loop->channel);
	while ((job = TAILQ_FIRST(&loop->jobs)))
		report(loop, job);
	while (!LIST_EMPTY(&loop->watches))
		watch_free(LIST_FIRST(&loop->watches));
	if (loop->library_open)
		ares_library_cleanup();
	sd_event_source_disable_unref(loop->retry);
	sd_event_source_disable_unref(loop->expiry);
	sd_event_unref(loop->event);
	free(loop);
}

ares_channel ares_loop_channel(struct ares_loop *loop)
{
	return loop->channel;
}

void ares_loop_begin(struct ares_loop *loop)
{
	loop->starting = true;
}

void ares_loop_end(struct ares_loop *loop)
{
	loop->starting = false;
	arm_retry(loop);
	arm_expiry(loop);
}

void ares_loop_add(struct ares_loop *loop, struct ares_job *job)
{
	job->deadline_us = now_us() + loop->timeout_us;
	job->waiting = true;
	TAILQ_INSERT_TAIL(&loop->jobs, job, entry);
}

bool ares_loop_finish(struct ares_loop *loop, struct ares_job *job)
{
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
