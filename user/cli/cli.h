/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the objects of the command line share: the options, the command table, errors.
 *
 * An object's file defines one `const struct object`; command.c finds the command and runs it;
 * main.c holds the list of objects. Results go through the printer (print.h) to standard
 * output, errors through cli_fail and cli_usage to standard error, as JSON with -j.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "cli/print.h"

#define CLI_COMMANDS_MAX 8 /* of one object */
#define CLI_PATH_LEN     256

#define CLI_LOCAL "local" /* what the daemon calls the edge and the gateway in itself */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Exit status of the program. */
enum cli_exit {
	CLI_OK,     /* done */
	CLI_FAILED, /* not done; the reason is on standard error */
	CLI_USAGE,  /* wrong words; what was expected is on standard error */
};

struct cli {
	bool json; /* errors as JSON; the printer has its own form */
	const char *socket;
	const char *bpffs; /* NULL: not given; read it by places.h */
	const char *state; /* the same */
	struct printer *printer;
	struct {
		bool asked;
		char bpffs[CLI_PATH_LEN];
		char state[CLI_PATH_LEN];
	} daemon; /* what the daemon said about places, see places.c */
};

/*
 * @name:    the word
 * @args:    what follows it, for help; NULL: nothing
 * @help:    one sentence
 * @min_args, @max_args: how many words may follow; max_args < 0: any number
 */
struct command {
	const char *name;
	const char *args;
	const char *help;
	int min_args;
	int max_args;
	enum cli_exit (*run)(struct cli *cli, int argc, char **argv);
};

/* @commands: ended by one without name; the first runs when the object stands alone */
struct object {
	const char *name;
	const char *help;
	const struct command *commands;
};

/* In the order of help; ended by NULL. */
extern const struct object *const cli_objects[];

extern const struct object object_client;
extern const struct object object_config;
extern const struct object object_domain;
extern const struct object object_gateway;
extern const struct object object_grant;
extern const struct object object_help;
extern const struct object object_monitor;
extern const struct object object_prog;
extern const struct object object_proxy;
extern const struct object object_resource;
extern const struct object object_session;
extern const struct object object_stats;
extern const struct object object_version;

/* Run OBJECT [COMMAND [WORDS]]. @argc: words left, may be 0. */
enum cli_exit cli_run(struct cli *cli, int argc, char **argv);

/* Find an object by its exact word; a wrong one is named, with what was expected. */
enum cli_exit cli_find(const struct cli *cli, const char *word, const struct object **ret_object);

/* Help on @object, or on all of them if NULL. */
enum cli_exit cli_help(struct cli *cli, const struct object *object);

/* Say what failed; returns CLI_FAILED. */
enum cli_exit cli_fail(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Say which word was wrong and what was expected; returns CLI_USAGE. */
enum cli_exit cli_usage(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Something a person should know although the command goes on; silent with -j. */
void cli_note(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The end of a command that has printed: @r is what the last print_* returned. */
enum cli_exit cli_printed(const struct cli *cli, int r);
