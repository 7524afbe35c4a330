/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon: one loop around two roles. The edge and the gateway (core/) are pure; this folder
 * gives them bytes and time, and applies what they decide to maps, sockets and disk. They
 * talk to each other in encoded control messages only, also inside this process.
 *
 * Everything that happens ends in daemon_pump, which carries actions and messages back and forth
 * until both roles are quiet, and then writes the store.
 *
 * Shared by the files of this folder, included by nobody else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/instant.h"
#include "base/log.h"
#include "config/config.h"
#include "core/cache.h"
#include "core/control.h"
#include "core/edge.h"
#include "core/fragments.h"
#include "core/gateway.h"
#include "core/names.h"
#include "core/peer.h"
#include "core/stub.h"
#include "dataplane/dataplane.h"
#include "dataplane/view.h"
#include "io/bucket.h"
#include "io/control_udp.h"
#include "io/ctl_server.h"
#include "io/dns_server.h"
#include "io/resolver.h"
#include "io/upstream.h"
#include "store/store.h"

#define LOCAL_GATEWAY 0 /* edge's id of the gateway in this process */
#define LOCAL_SCOPE   0 /* gateway's id of the edge in this process */

#define UNSET_MAX 16

#define DNS_TOGETHER 32 /* queries that are answered in one go */
#define DNS_PORT_XDP 53 /* where the programs answer */

/* A control message on its way inside this process. */
struct letter {
	struct letter *next;
	struct control_message msg;
};

struct mailbox {
	struct letter *first, **last;
};

struct options {
	const char *config; /* path */
	const char *socket; /* overrides the configuration; NULL: it does not */
	bool has_log_format;
	enum log_format log_format;
	bool verbose;
	enum dp_dispatcher dispatcher;
	bool clsact; /* see struct dp_settings */
};

/* What runs of the configuration's DNS parts: a change that failed is tried again. */
struct in_force {
	bool dns;
	struct config_endpoint listen[CONFIG_LISTEN_MAX];
	unsigned int listen_count;
	struct config_servers upstream, site, resolver;
	unsigned int timeout_s;
	struct config_endpoint control; /* gateway.listen */
	struct dns_listen site_listen;
};

/* A gateway on another machine, of our edge. */
struct remote {
	uint32_t id; /* from 1 */
	char name[CONFIG_NAME_LEN];
	struct fq_addr addr;
	uint16_t port, dns_port;
	struct peer health;
	struct upstream *site; /* NULL: not asked anything yet */
};

/* An edge on another machine, of our gateway. */
struct far_edge {
	uint32_t scope; /* from 1 */
	char name[CONFIG_NAME_LEN];
	struct fq_addr addr;
	struct instant heard; /* last authentic message; INSTANT_NEVER */
};

struct daemon {
	struct options options;
	struct config *config;
	sd_event *event;
	bool started;
	struct store *store;
	bool store_failing; /* the last commit failed: said once */
	struct instant store_retry;
	struct instant store_due; /* when what was gathered is written; INSTANT_NEVER */
	bool store_news;          /* a domain's state is among it that would not come back */
	struct dataplane *dp;
	struct dpview *view;        /* the same, to look at */
	struct fq_settings program; /* that the programs run with */
	struct expiry_policy expiry;

	struct edge *edge;
	struct gateway *gateway;
	struct fragments *fragments;
	struct mailbox to_gateway, to_edge;
	bool pumping;

	struct control_udp *to_gateways, *to_edges; /* NULL: there are none on other machines */
	struct remote *remotes;
	unsigned int remote_count;
	struct far_edge *far_edges;
	unsigned int far_edge_count;
	struct names *names;                  /* of domains, for far_edges */
	uint64_t life_of_maps, life_of_store; /* see control_lives_begin */
	uint32_t generation_mark; /* in the store: no process has used it or a later one */
	struct control_told {
		uint64_t count[FQ_REASON_MAX]; /* of control messages, that are in stats */
	} control_told;

	struct resolver *resolver;
	struct resolver *retired; /* the one before a reload, until its lookups have ended */
	struct dns_server *dns;
	struct upstream *upstream;      /* for names that are no resource */
	struct upstream *site;          /* the gateway's servers: SRV, TXT of resources */
	struct dns_server *site_server; /* where far_edges ask them */
	struct cache *cache;
	struct bucket_table *queries;   /* by client */
	struct bucket_table *new_names; /* by client */
	struct bucket_table *refusals;  /* of everybody together */
	struct in_force in_force;
	bool dns_xdp; /* queries may be answered in XDP */
	sd_event_source *dns_asked, *dns_asked_later;
	struct dns_asked {
		struct dns_request *req;
		struct stub_reply reply;
	} asked[DNS_TOGETHER]; /* queries that wait for those that came with them */
	unsigned int asked_count;
	bool asked_new;                   /* a name among them has got addresses */
	LIST_HEAD(, forwarded) forwarded; /* queries that are with an upstream server */
	struct ctl_server *ctl;

	sd_event_source *deadline; /* of edge and gateway */
	sd_event_source *sweep;
	sd_event_source *upcalls;
	sd_event_source *netlink;
	sd_event_source *hops;
	sd_event_source *clock;
	int clock_fd;
	struct instant peers_at; /* when to look again who takes redirected frames */
	int64_t wall_offset_ns;  /* wall clock minus CLOCK_MONOTONIC, as last taken for grants */
	struct fq_count reported[FQ_REASON_MAX]; /* refusals that monitors have been told of */
	struct dns_server_counters dns_told;     /* those that are in stats */

	struct resource_index *resources; /* of config, by UUID */

	struct dp_pair *ending; /* sessions to end, when the gateway's actions are through */
	size_t ending_count;
	struct {
		struct fq_xlat_key keys[CONTROL_PROXIES_MAX];
		struct fq_xlat values[CONTROL_PROXIES_MAX];
		unsigned int count;
	} xlats; /* of one domain in one scope, still to be written: see xlats_write */
	struct unset {
		uint32_t scope, domain;
	} unset[UNSET_MAX]; /* translations that the map did not take, as long */
	unsigned int unset_count;

	uint32_t *used; /* domains with sessions, ascending; NULL: not known */
	size_t used_count;
	struct instant used_at;
};

/* ---- daemon.c: life ---- */

/* Start everything; what an earlier daemon left in the kernel is taken over. Logs failures. */
int daemon_start(struct daemon *d);
void daemon_stop(struct daemon *d);

/* ---- pump.c ---- */

/*
 * Carry actions and messages until both roles are quiet; commit; set the timer. Of very many
 * actions a part, and the rest when the loop has served others.
 */
void daemon_pump(struct daemon *d);

/*
 * The same, but what there is to write may wait a moment for more: for what happens thousands of
 * times a second, and is harmless to lose when the process is killed, as a known name that is asked
 * for again.
 */
void daemon_pump_gather(struct daemon *d);

/*
 * The same, but new states of domains are written at once: for what gateways say, which is nearly
 * always what is known.
 */
void daemon_pump_news(struct daemon *d);

/* The same as daemon_pump, all of it: for whoever tells others that it is done. */
void daemon_drain(struct daemon *d);

/* A message for the other role; delivered by the pump. */
void mailbox_post(struct mailbox *box, const struct control_message *msg);
void mailbox_done(struct mailbox *box);

/* ---- apply_edge.c, apply_gateway.c ---- */

void edge_apply(struct daemon *d, struct edge_action *a);
void gateway_apply(struct daemon *d, const struct gateway_action *a);

/*
 * Write the translations that have been collected. To be called when there are no more of the
 * gateway's actions: before each other one it is done by gateway_apply.
 */
void xlats_write(struct daemon *d);

/* End the sessions that the gateway's actions have told of. */
void sessions_end(struct daemon *d);
void gateway_on_resolved(void *ctx, const struct dname *name, const struct resolver_answer *answer);

/* The edge's side of a gateway that said DomainStatus. */
void edge_take_status(struct daemon *d, uint32_t gateway, const struct control_message *msg);

/* ---- gateways.c: the edge's gateways on other machines ---- */

/* Make them as configured. Logs failures; the old ones stay then. */
int gateways_apply(struct daemon *d);
void gateways_stop(struct daemon *d);

/* NULL: no gateway elsewhere has the id. */
struct remote *gateway_remote(const struct daemon *d, uint32_t id);
void gateway_send(struct daemon *d, uint32_t id, const struct control_message *msg);

/* Somebody waits for the gateway. */
void gateways_wanted(struct daemon *d, uint32_t id);
struct instant gateways_deadline(const struct daemon *d);
void gateways_tick(struct daemon *d, struct instant now);

/* ---- edges.c: the gateway's edges on other machines ---- */

int edges_apply(struct daemon *d);
void edges_stop(struct daemon *d);
void scope_send(struct daemon *d, uint32_t scope, const struct control_message *msg);

/* Say Goodbye to an edge, and drop its translations. */
void scope_goodbye(struct daemon *d, uint32_t scope);

/* Return: whether an edge has this address. */
bool edge_scope_of(const struct daemon *d, const struct fq_addr *addr, uint32_t *ret_scope);

/* ---- control.c: what both have in common ---- */

/* An epoch for new seals, greater than all before, and written down. Return: 0; negative errno. */
int control_epoch(struct daemon *d, uint64_t *ret_epoch);

/*
 * Incarnations: what one of us has for the other, as long as it is there. What a gateway has lives
 * as long as the maps, unless it is dropped for an edge alone (renew); what an edge has, as long as
 * the store. Once, when both are open.
 */
int control_lives_begin(struct daemon *d);
uint16_t control_incarnation_for_gateways(const struct daemon *d);
uint16_t control_incarnation_for_edge(struct daemon *d, const char *edge);
uint16_t control_incarnation_renew(struct daemon *d, const char *edge);

/* Whether the peer's is another one than before, also before a restart of ours. */
bool control_incarnation_changed(struct daemon *d, const char *what, const char *name,
				 uint16_t incarnation);

/* Put what the transports have refused into stats. */
void control_report(struct daemon *d);

/* Counters of other peers from now on: to be reported before that. */
void control_peers_changed(struct daemon *d);

/* ---- site.c: questions of other types about resources ---- */

#define SITE_TIMEOUT_MS 5000

int site_apply(struct daemon *d);
void site_stop(struct daemon *d);

/* Where the gateway's site answers; NULL: nowhere. */
struct upstream *site_of_gateway(struct daemon *d, uint32_t id);

/* ---- dns.c: queries; dns_service.c: what serves them ---- */

void dns_on_request(void *ctx, struct dns_request *req);
void dns_on_handled(void *ctx);

/*
 * dns_xdp.c: what the XDP programs answer. The daemon answers a query, and has answered all that
 * came with it; something about a name has changed; the configuration has, or this is the start.
 */
int dns_xdp_start(struct daemon *d);
void dns_xdp_stop(struct daemon *d);
void dns_xdp_answered(struct daemon *d, const struct stub_reply *reply);
void dns_xdp_changed(struct daemon *d, const struct dname *name);
void dns_xdp_gone(struct daemon *d, const struct dname *name, const struct proxies *proxies);
int dns_xdp_apply(struct daemon *d);

bool dns_may_ask(void *ctx, const struct fq_addr *src);
void dns_forget_forwarded(struct daemon *d);

/* Hand a request to servers, or answer it from the cache; @to NULL: SERVFAIL. */
void dns_forward(struct daemon *d, struct dns_request *req, struct upstream *to);
void dns_reply_error(struct dns_request *req, uint8_t rcode);

/* Begin, or change to what d->config says; what cannot be changed stays. Both log failures. */
int resolver_apply(struct daemon *d);
int dns_apply(struct daemon *d);

/* Put what the listeners have dropped into stats. */
void dns_report(struct daemon *d);
void dns_stop(struct daemon *d);

/* ---- policy.c: configuration and store to the roles' terms ---- */

int policy_apply(struct daemon *d);

/* Give clients the quota of the configuration. */
void quotas_apply(struct daemon *d);

/* At start: ids of clients and resources that are configured no longer may be given to others. */
int ids_purge(struct daemon *d);
/* The instant of a time of the wall clock. */
struct instant instant_of_wall(struct daemon *d, time_t wall);

/* ---- names.c ---- */

/* Build the index of d->config, for as long as that lives. Return: 0; -ENOMEM: names are not known.
 */
int resource_index_build(struct daemon *d);
void resource_index_free(struct daemon *d);

/* Whether the configuration has a client of this name. */
bool client_configured(const struct daemon *d, const char *name);
/* The resource with this UUID; NULL: it is not configured (any more). */
const struct config_resource *config_resource(const struct daemon *d, const char *uuid);
/* NULL: no resource of the configuration is called so. */
const char *uuid_of_resource(const struct daemon *d, const char *name);

/* Name in the configuration of a client, resource or gateway; "?" if it is not known. */
const char *name_of_client(const struct daemon *d, uint32_t id);
const char *name_of_resource(const struct daemon *d, uint32_t id);
const char *name_of_gateway(const struct daemon *d, uint32_t id);
const char *name_of_scope(const struct daemon *d, uint32_t scope);

/* Name of a domain of either role. Return: whether it is known. */
bool id_of_domain(const struct daemon *d, const struct dname *name, uint32_t *ret_id);
bool name_of_domain(const struct daemon *d, uint32_t id, struct dname *ret_name);

/* ---- restore.c ---- */

int edge_restore_all(struct daemon *d);

/* Write down how far ids and addresses have been given out. */
void marks_store(struct daemon *d);
int gateway_restore_all(struct daemon *d);

/* ---- used.c: which domains have sessions ---- */

void used_domains_refresh(struct daemon *d);
bool used_domains_contain(const struct daemon *d, uint32_t domain);

/* Name of the store's number from which on generations were never used. */
#define META_GENERATION "generation"

/* ---- settings.c: configuration to the settings of each part ---- */

/* Log what is permitted but unwise. */
void settings_warn(const struct config *c);
void settings_dataplane(const struct daemon *d, const struct config *c, struct dp_settings *ret_s);
int settings_gateway(struct daemon *d, struct gateway_settings *ret_s);
int settings_edge(struct daemon *d, struct edge_settings *ret_s);

/* The table of names, without names; with the mark of the store. */
int names_start(struct daemon *d);

/* ---- links.c: interfaces and their changes ---- */

int links_attach_all(struct daemon *d);
int links_attach(struct daemon *d, const char *dev, enum dp_mode mode, struct dp_error *err,
		 struct dp_attached *ret_at);
void links_changed(void *ctx, enum dp_link_event event, uint32_t ifindex, const char *ifname);

/* ---- fragments.c: those that came before the first one of their datagram ---- */

void fragment_arrived(struct daemon *d, const struct fq_upcall *u);
void fragment_first_arrived(struct daemon *d, const struct fq_upcall *u);

/* Drop those that have waited too long. */
void fragments_tick(struct daemon *d);

/* ---- chores.c: upcalls, sweeping, clocks ---- */

int chores_start(struct daemon *d);

/* ---- reload.c ---- */

/* What the configuration asks for and this version cannot do; NULL: nothing. */
const char *config_unsupported(const struct config *c);

/* SIGHUP. A configuration that is refused changes nothing. */
void daemon_reload(struct daemon *d);

/* ---- ctl_show.c, ctl_gateways.c: the rows of the JSON contract ---- */

json_t *show_domains(struct daemon *d, const struct dname *only);
json_t *show_resources(struct daemon *d);
json_t *show_clients(struct daemon *d);
json_t *show_grants(struct daemon *d);
json_t *show_gateways(struct daemon *d);
json_t *show_limits(struct daemon *d);

/* ---- ctl.c ---- */

int ctl_handle(void *ctx, const char *command, const json_t *args, json_t **ret_result,
	       char ret_error[CTL_ERROR_LEN]);

/* Whether somebody follows events; and send one ("time" is added; @event is taken over). */
bool monitor_wanted(const struct daemon *d);
void monitor_publish(struct daemon *d, json_t *event);
