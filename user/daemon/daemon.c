/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's life. The order of starting matters: the programs of an earlier daemon go on
 * translating while we read what it has left, and no map entry that is still right is missing for
 * a moment (dataplane_sync_begin, _end).
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/daemon.h"

static int open_store(struct daemon *d)
{
	char error[STORE_ERROR_LEN];
	int r = store_open(d->config->state, STORE_WRITE, &d->store, error);

	if (r < 0)
		log_event(LOG_ERR, "cannot open the state", log_str("reason", error));
	return r;
}

/* Tables that an earlier daemon has left stay as large as they are. */
static void warn_small(uint32_t room, uint32_t configured, const char *table)
{
	if (room < configured)
		log_event(LOG_WARNING,
			  "a table in the kernel is smaller than configured; "
			  "`fqdnat prog detach` on every interface makes a new one",
			  log_str("table", table), log_uint("room", room),
			  log_uint("configured", configured));
}

static int open_dataplane(struct daemon *d)
{
	struct dp_settings s;
	struct dp_error err;
	uint32_t max;
	int r;

	settings_dataplane(d, d->config, &s);
	r = dataplane_open(&s, &err, &d->dp);
	if (r >= 0)
		r = dpview_open(d->config->bpffs, &err, &d->view);
	if (r < 0) {
		log_event(LOG_ERR, "cannot load the dataplane", log_str("reason", err.text));
		return r;
	}
	d->program = s.program;
	d->expiry = s.expiry;
	max = dataplane_sessions_max_set(d->dp, s.sessions_max);
	warn_small(max, s.sessions_max, "sessions");
	if (dataplane_taken_over(d->dp))
		log_event(LOG_INFO, "took over",
			  log_uint("sessions", dataplane_sessions_used(d->dp)));
	return 0;
}

static int make_roles(struct daemon *d)
{
	struct gateway_settings gs;
	struct edge_settings es;
	int r;

	d->fragments = fragments_new();
	r = d->fragments ? settings_edge(d, &es) : -ENOMEM;
	if (r >= 0)
		r = edge_new(&es, &d->edge);
	if (r >= 0)
		r = settings_gateway(d, &gs);
	if (r >= 0)
		r = gateway_new(&gs, &d->gateway);
	if (r >= 0)
		r = names_start(d);
	if (r >= 0 && !d->config->edge.gateway_count)
		r = edge_gateway_up(d->edge, LOCAL_GATEWAY, instant_now());
	if (r < 0) {
		log_event(LOG_ERR, "cannot start edge and gateway", log_errno(r));
		return r;
	}
	return resolver_apply(d);
}

static int take_over(struct daemon *d)
{
	int r;

	r = dataplane_sync_begin(d->dp);
	if (r >= 0)
		r = policy_apply(d);
	if (r >= 0)
		r = gateways_apply(d);
	if (r >= 0)
		r = edge_restore_all(d);
	if (r >= 0)
		r = gateway_restore_all(d);
	if (r < 0) {
		log_event(LOG_ERR, "cannot take over the earlier state", log_errno(r));
		return r;
	}
	daemon_drain(d);
	r = dataplane_sync_end(d->dp);
	if (r < 0)
		log_event(LOG_ERR, "cannot tidy up the maps", log_errno(r));
	else if (r > 0)
		log_event(LOG_INFO, "removed what is no longer configured", log_int("entries", r));
	return r < 0 ? r : ids_purge(d);
}

static int open_control(struct daemon *d)
{
	const char *path = d->options.socket ? d->options.socket : d->config->control_socket;
	char error[CTL_ERROR_LEN];
	int r = ctl_server_new(d->event, path, ctl_handle, d, &d->ctl, error);

	if (r < 0)
		log_event(LOG_ERR, "cannot open the control socket", log_str("reason", error));
	return r;
}

int daemon_start(struct daemon *d)
{
	int r;

	/* The socket first: it is also what tells two daemons apart. */
	r = open_control(d);
	if (r >= 0)
		r = open_store(d);
	if (r >= 0)
		r = open_dataplane(d);
	if (r >= 0)
		r = control_lives_begin(d);
	if (r >= 0)
		r = make_roles(d);
	if (r >= 0)
		r = chores_start(d);
	if (r >= 0)
		r = dns_xdp_start(d);
	if (r >= 0)
		r = take_over(d);
	if (r >= 0)
		r = links_attach_all(d);
	if (r >= 0)
		r = edges_apply(d);
	if (r >= 0)
		r = dns_apply(d);
	if (r >= 0)
		(void)dns_xdp_apply(d);
	if (r >= 0)
		r = site_apply(d);
	d->started = r >= 0;
	return r;
}

void daemon_stop(struct daemon *d)
{
	ctl_server_free(d->ctl);
	site_stop(d);
	dns_stop(d);
	dns_xdp_stop(d);
	gateways_stop(d);
	edges_stop(d);
	sd_event_source_unref(d->deadline);
	sd_event_source_unref(d->sweep);
	sd_event_source_unref(d->upcalls);
	sd_event_source_unref(d->netlink);
	sd_event_source_unref(d->hops);
	sd_event_source_unref(d->clock);
	closep(&d->clock_fd);
	gateway_free(d->gateway);
	edge_free(d->edge);
	fragments_free(d->fragments);
	names_free(d->names);
	mailbox_done(&d->to_edge);
	mailbox_done(&d->to_gateway);
	if (d->store && store_commit(d->store) < 0)
		log_event(LOG_ERR, "state could not be written",
			  log_str("detail", store_error(d->store)));
	store_free(d->store);
	dpview_free(d->view);
	dataplane_free(d->dp);
	free(d->used);
	resource_index_free(d);
	config_free(d->config);
	sd_event_unref(d->event);
}
