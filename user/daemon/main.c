/* SPDX-License-Identifier: BSD-2-Clause */
/* fqdnatd: options, signals, and the loop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "daemon/daemon.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"Usage: fqdnatd [OPTIONS]\n"
	"\n"
	"Access to names instead of addresses: edge and gateway. Runs in the foreground.\n"
	"\n"
	"  -c, --config FILE      configuration (default " CONFIG_FILE_DEFAULT ")\n"
	"  -s, --socket PATH      control socket, instead of the configuration's\n"
	"      --log-format WORD  auto | text | json | journal, instead of the configuration's\n"
	"  -v, --verbose          log debug messages\n"
	"  -V, --version          print the version\n"
	"  -h, --help             print this\n"
	"\n"
	"SIGHUP reads the configuration again; one that is wrong changes nothing. SIGTERM ends "
	"the\n"
	"daemon; programs, maps and sessions stay in the kernel (`fqdnat prog detach` removes "
	"them).\n";

static int bad_usage(const char *format, const char *word)
{
	fprintf(stderr, "fqdnatd: ");
	fprintf(stderr, format, word);
	fprintf(stderr, "; see fqdnatd --help\n");
	return EXIT_USAGE;
}

/* Return: -1 to go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {
		{"config", required_argument, NULL, 'c'},
		{"socket", required_argument, NULL, 's'},
		{"log-format", required_argument, NULL, 'f'},
		{"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *dispatcher = getenv("FQDNAT_DISPATCHER"), *tcx = getenv("FQDNAT_TCX");
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":c:s:vVh", longopts, NULL)) != -1) {
		switch (opt) {
		case 'c':
			o->config = optarg;
			break;
		case 's':
			o->socket = optarg;
			break;
		case 'f':
			if (log_format_parse(optarg, &o->log_format) < 0)
				return bad_usage("'%s' is no log format: expected auto, text, json "
						 "or journal",
						 optarg);
			o->has_log_format = true;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'V':
			puts("fqdnatd " FQ_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case ':':
			return bad_usage("'%s' wants a value", argv[optind - 1]);
		default:
			return bad_usage("'%s' is no option", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return bad_usage("'%s' is not expected: there are options only", argv[optind]);
	if (dispatcher && dp_dispatcher_parse(dispatcher, &o->dispatcher) < 0)
		return bad_usage("FQDNAT_DISPATCHER is '%s': expected auto, never or require",
				 dispatcher);
	if (tcx && strcmp(tcx, "auto") != 0 && strcmp(tcx, "never") != 0)
		return bad_usage("FQDNAT_TCX is '%s': expected auto or never", tcx);
	o->clsact = tcx && strcmp(tcx, "never") == 0;
	return -1;
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *ctx)
{
	struct daemon *d = ctx;

	(void)s;
	(void)si;
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
			 (long long)(instant_now().ns / NSEC_PER_USEC));
	daemon_reload(d);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int setup_signals(struct daemon *d)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	/* Without a handler, sd-event ends the loop. */
	r = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	return r < 0 ? r : 0;
}

static int run(struct daemon *d)
{
	char error[CONFIG_ERROR_LEN];
	int r;

	r = config_load(d->options.config, &d->config, error);
	if (r < 0) {
		log_event(LOG_ERR, "configuration refused", log_str("reason", error));
		return r;
	}
	if (config_unsupported(d->config)) {
		log_event(LOG_ERR, "configuration refused",
			  log_str("reason", config_unsupported(d->config)));
		return -EOPNOTSUPP;
	}
	log_open(d->options.has_log_format ? d->options.log_format : d->config->log.format,
		 d->options.verbose ? LOG_DEBUG : d->config->log.level);
	settings_warn(d->config);

	r = sd_event_default(&d->event);
	if (r >= 0)
		r = setup_signals(d);
	if (r < 0) {
		log_event(LOG_ERR, "cannot set up the event loop", log_errno(r));
		return r;
	}
	r = daemon_start(d);
	if (r < 0)
		return r;
	(void)sd_notify(0, "READY=1");
	log_event(LOG_INFO, "ready", log_str("version", FQ_VERSION),
		  log_str("config", d->options.config));

	r = sd_event_loop(d->event);
	(void)sd_notify(0, "STOPPING=1");
	log_event(LOG_INFO, "ended; programs, maps and sessions stay in the kernel");
	return r;
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.options = {.config = CONFIG_FILE_DEFAULT},
		.clock_fd = -1,
		.store_due = INSTANT_NEVER,
	};
	int r;

	r = parse_options(argc, argv, &d.options);
	if (r >= 0)
		return r;
	if (d.options.has_log_format)
		log_open(d.options.log_format, LOG_INFO);
	r = run(&d);
	daemon_stop(&d);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
