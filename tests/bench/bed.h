/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The laboratory with everything loaded and attached: generator, sink, and what each gateway runs.
 * Frames are sent to one path at a time, from the thread that opened it, which is in the client's
 * namespace from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "box.h"
#include "lab.h"
#include "rig.h"

#define BED_LINKS (3 * LAB_PATHS)

struct bed {
	struct lab *lab;
	struct rig rig;
	struct box box, box64;
	int link_fd[BED_LINKS];
	unsigned int links;
	uint64_t sent, lost; /* by bed_send(); the caller may reset them */
};

/* Return: 0; negative errno, said on stderr; bed_close() in both cases. */
int bed_open(struct bed *b, struct lab *lab, unsigned int flows_max);
void bed_close(struct bed *b);

/* Is there this path, and is it made for so many flows? */
bool bed_takes_part(const struct bed *b, enum lab_path path, unsigned int flows);

/* The object under test of a path; NULL: none. */
struct box *bed_box_of(struct bed *b, enum lab_path path);

/*
 * Send frames of flows as rig_draw() said, and count.
 *
 * @ret_mpps: what had arrived when the last frame was sent, by the time that took
 *
 * Return: 0; negative errno.
 */
int bed_send(struct bed *b, enum lab_path path, unsigned int packets, double *ret_mpps);

/*
 * Send every flow's first packet; again where the first attempt lost some.
 *
 * Return: 0; -EPROTO if the flows are not there afterwards, said on stderr; negative errno.
 */
int bed_open_flows(struct bed *b, enum lab_path path, unsigned int flows);

/* Is what arrives what should? Return: 0; -EPROTO, said on stderr; negative errno. */
int bed_check(struct bed *b, enum lab_path path);
