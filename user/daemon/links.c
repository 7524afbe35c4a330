/* SPDX-License-Identifier: BSD-2-Clause */
/* Interfaces: attached at start, followed while they come and go, their pitfalls said aloud. */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"

static void warn(void *ctx, const char *text)
{
	log_event(LOG_WARNING, "interface", log_str("dev", ctx), log_str("warning", text));
}

int links_attach(struct daemon *d, const char *dev, enum dp_mode mode, struct dp_error *err,
		 struct dp_attached *ret_at)
{
	int r;

	r = dataplane_attach(d->dp, dev, mode, err, ret_at);
	if (r < 0)
		return r;
	log_event(LOG_INFO, "attached", log_str("dev", dev),
		  log_str("mode", dp_mode_name(ret_at->mode)), log_str("why", ret_at->note));
	(void)dataplane_warnings(ret_at->ifindex, ret_at->mode, warn, (void *)dev);
	return 0;
}

static enum dp_mode mode_of(const struct config_interface *i)
{
	switch (i->mode) {
	case CONFIG_MODE_NATIVE:
		return DP_MODE_NATIVE;
	case CONFIG_MODE_GENERIC:
		return DP_MODE_GENERIC;
	case CONFIG_MODE_TC:
		return DP_MODE_TC;
	default:
		return DP_MODE_AUTO;
	}
}

/* An interface that is not there, or down, is waited for; anything else is the operator's to mend.
 */
static int attach_configured(struct daemon *d, const struct config_interface *c)
{
	struct dp_attached at;
	struct dp_error err;
	int r;

	r = links_attach(d, c->name, mode_of(c), &err, &at);
	if (r == -ENODEV || r == -ENETDOWN) {
		log_event(LOG_WARNING, "interface is waited for", log_str("dev", c->name),
			  log_str("reason", err.text));
		return 0;
	}
	if (r < 0)
		log_event(LOG_ERR, "cannot attach", log_str("dev", c->name),
			  log_str("reason", err.text));
	return r;
}

/* @bare: those without an Ethernet header, or those with one */
static int attach_kind(struct daemon *d, bool bare)
{
	int failed = 0;

	for (unsigned int i = 0; i < d->config->interface_count; i++) {
		const struct config_interface *c = &d->config->interfaces[i];
		int r = dataplane_bare(c->name) == bare ? attach_configured(d, c) : 0;

		if (r < 0)
			failed = r;
	}
	return failed;
}

/* What is right for the others (mode auto) depends on whether there is one without a header. */
int links_attach_all(struct daemon *d)
{
	int bare = attach_kind(d, true), others = attach_kind(d, false);

	return bare < 0 ? bare : others;
}

void links_changed(void *ctx, enum dp_link_event event, uint32_t ifindex, const char *ifname)
{
	struct daemon *d = ctx;

	(void)ifindex;
	for (unsigned int i = 0; i < d->config->interface_count; i++) {
		const struct config_interface *c = &d->config->interfaces[i];

		if (strcmp(c->name, ifname) != 0)
			continue;
		if (event != DP_LINK_UP) {
			log_event(LOG_WARNING, "interface is gone or down", log_str("dev", ifname));
			continue;
		}
		if (attach_configured(d, c) == 0 && dataplane_bare(ifname))
			(void)attach_kind(d, false);
	}
}
