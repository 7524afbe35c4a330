/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGHUP: the configuration is read again and applied without a packet being lost. One that is
 * wrong, or asks for what only a restart can change, changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"

const char *config_unsupported(const struct config *c)
{
	if (c->has_edge && !c->edge.gateway_count && c->gateway.has_listen)
		return "gateway.listen beside an edge without edge.gateways: a gateway serves the "
		       "edge of its own process or edges elsewhere, not both; run two daemons "
		       "(bpffs, state, control_socket)";
	return NULL;
}

/* The key that cannot change while the daemon runs, but does; NULL: none. */
static const char *needs_restart(const struct config *old, const struct config *new)
{
	if (memcmp(&old->edge.pool4, &new->edge.pool4, sizeof(old->edge.pool4)) ||
	    memcmp(&old->edge.pool6, &new->edge.pool6, sizeof(old->edge.pool6)))
		return "edge.pools";
	if (strcmp(old->bpffs, new->bpffs))
		return "bpffs";
	if (strcmp(old->state, new->state))
		return "state";
	if (strcmp(old->control_socket, new->control_socket))
		return "control_socket";
	if (old->has_edge != new->has_edge || !old->edge.gateway_count != !new->edge.gateway_count)
		return "edge (from or to gateways elsewhere)";
	if (old->edge.control.has_address != new->edge.control.has_address ||
	    !ipaddr_equal(&old->edge.control.address, &new->edge.control.address))
		return "edge.control.address";
	if (old->gateway.per_edge.resolutions != new->gateway.per_edge.resolutions ||
	    old->gateway.per_edge.translations != new->gateway.per_edge.translations)
		return "gateway.per_edge (resolutions, translations)";
	if (old->gateway.has_listen != new->gateway.has_listen)
		return "gateway.listen (to begin or to end it)";
	if (memcmp(&old->limits, &new->limits, sizeof(old->limits)))
		return "limits";
	return NULL;
}

/* Detach from interfaces that are listed no longer; the new ones are attached already. */
static void detach_unlisted(struct daemon *d, const struct config *old)
{
	for (unsigned int i = 0; i < old->interface_count; i++) {
		const char *dev = old->interfaces[i].name;
		struct dp_error err;
		bool listed = false;
		int r;

		for (unsigned int j = 0; j < d->config->interface_count; j++)
			listed |= strcmp(dev, d->config->interfaces[j].name) == 0;
		if (listed)
			continue;
		r = dataplane_detach(d->dp, dev, &err);
		if (r < 0 && r != -ENODEV && r != -ENOENT)
			log_event(LOG_ERR, "cannot detach", log_str("dev", dev),
				  log_str("reason", err.text));
		else
			log_event(LOG_INFO, "detached", log_str("dev", dev));
	}
}

/*
 * New programs in place of the old ones, if their settings have changed (verifying takes a
 * while): first, because it can fail and must then change nothing.
 */
static int reload_programs(struct daemon *d, const struct config *new)
{
	struct dp_settings s;
	struct dp_error err;
	int r;

	settings_dataplane(d, new, &s);
	if (memcmp(&s.program, &d->program, sizeof(s.program)) == 0 &&
	    memcmp(&s.expiry, &d->expiry, sizeof(s.expiry)) == 0)
		return 0;
	r = dataplane_reload(d->dp, &s, &err);
	if (r < 0) {
		log_event(LOG_ERR, "cannot load the programs anew", log_str("reason", err.text));
		return r;
	}
	d->program = s.program;
	d->expiry = s.expiry;
	return 0;
}

static int refused(const char *reason)
{
	log_event(LOG_ERR, "configuration refused; the old one stays", log_str("reason", reason));
	return -EINVAL;
}

static int load(struct daemon *d, struct config **ret_config)
{
	_cleanup_(config_freep) struct config *new = NULL;
	char error[CONFIG_ERROR_LEN];
	const char *key;

	if (config_load(d->options.config, &new, error) < 0)
		return refused(error);
	if (config_unsupported(new))
		return refused(config_unsupported(new));
	key = needs_restart(d->config, new);
	if (key) {
		snprintf(error, sizeof(error), "%s cannot change while the daemon runs", key);
		return refused(error);
	}
	*ret_config = TAKE_PTR(new);
	return 0;
}

/* What must take effect as a whole, or not at all. */
static int apply_whole(struct daemon *d, struct config *new)
{
	struct config *old = d->config;
	int r;

	d->config = new;
	r = reload_programs(d, new);
	if (r >= 0)
		r = policy_apply(d);
	if (r < 0) {
		d->config = old;
		(void)reload_programs(d, old);
		(void)policy_apply(d);
	}
	daemon_drain(d);
	return r;
}

/* What can fail by itself: the old stays, a line in the log says so, the next reload tries again.
 */
static int apply_parts(struct daemon *d, const struct config *old)
{
	int failed = 0;

	(void)dataplane_sessions_max_set(d->dp, d->config->gateway.sessions.max);
	quotas_apply(d);
	if (!d->options.has_log_format)
		log_open(d->config->log.format,
			 d->options.verbose ? LOG_DEBUG : d->config->log.level);
	failed += gateways_apply(d) < 0;
	failed += edges_apply(d) < 0;
	failed += resolver_apply(d) < 0;
	failed += dns_apply(d) < 0;
	failed += dns_xdp_apply(d) < 0;
	failed += site_apply(d) < 0;
	failed += links_attach_all(d) < 0;
	detach_unlisted(d, old);
	daemon_drain(d);
	return failed;
}

void daemon_reload(struct daemon *d)
{
	struct config *new = NULL, *old = d->config;

	if (load(d, &new) < 0)
		return;
	if (apply_whole(d, new) < 0) {
		(void)refused("it cannot be applied, see above");
		config_free(new);
		return;
	}
	if (apply_parts(d, old))
		log_event(LOG_ERR, "configuration reloaded in part, see above");
	else
		log_event(LOG_INFO, "configuration reloaded", log_str("config", d->options.config));
	settings_warn(d->config);
	config_free(old);
}
