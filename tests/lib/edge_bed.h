/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A test bed for the edge: inputs and actions as words, time as a number.
 *
 *	bed_do(bed, 0, "query a.x")  gives  "new a.x; A@1 none>pending; send A@1 #1 4+4; a.x hold
 *@1"
 *
 * Resources are letters, gateways small numbers. Inputs:
 *
 *	query, requery, refresh, forget NAME
 *	packet NAME N		a UDP packet with the number N in it, to the first IPv4 address
 *	packet6 NAME N		the same to the first IPv6 address
 *	syn NAME N STAMP	a TCP SYN with sequence number N and a timestamp
 *	touch NAME
 *	active, inactive NAME RESOURCE@GATEWAY [#GENERATION]	default: the last one sent
 *	up, lost, gone GATEWAY
 *	tick
 *
 * What an action looks like, in the order of the queue, separated by "; ":
 *
 *	new NAME, changed NAME, del NAME, forgotten NAME, ignored RESOURCE
 *	RESOURCE@GATEWAY STATE>STATE		(of the domain named last)
 *	send RESOURCE@GATEWAY #GENERATION V4+V6 [again N]
 *	NAME[/4|/6] forward|hold|refuse [@GATEWAY] [touch MS]	/4, /6: of this family only
 *	want GATEWAY				(only if bed.say_wanted)
 *	release NAME N N N, full|duplicate|dropped|limit NAME COUNT
 *
 * An input that fails gives "error NAME" of errno, a status that is not taken "unknown" or "stale".
 */
#pragma once

#include "core/edge.h"

#define BED_TEXT_MAX 4096
#define BED_SENT_MAX 1024

/* What the bed has seen sent: for default generations and for invariants. */
struct bed_sent {
	char name[64];
	char resource;
	uint32_t gateway, generation;
	int64_t at_ms;
};

struct bed {
	struct edge *edge;
	struct instant now;
	struct bed_sent sent[BED_SENT_MAX]; /* the latest of each entry */
	unsigned int sent_count;
	bool in_use; /* what settings.in_use says of every domain */
	bool say_wanted;
	void (*on_action)(struct bed *bed, const struct edge_action *action, void *ctx);
	void *ctx;
	char text[BED_TEXT_MAX]; /* actions of the last input */
};

/* Small pools, one domain each name; quarantine 1000 s, generations from 1. */
struct edge_settings bed_settings(void);

/* @settings: NULL: bed_settings(). in_use is set to the bed's. */
void bed_open(struct bed *bed, const struct edge_settings *settings);
void bed_close(struct bed *bed);

/* "A" is resource 1 and so on. @gateways: at most two, 0 none. */
struct edge_resource bed_resource(char letter, const char *pattern, enum ip_stack stack,
				  uint32_t gateway, uint32_t other);

/* Replace the resources. Returns the actions' text, as bed_do. */
const char *bed_resources(struct bed *bed, const struct edge_resource *list, size_t count);

/* Do one input at @ms, take all actions. Returns their text, valid until the next one. */
const char *bed_do(struct bed *bed, int64_t ms, const char *input);

/* A frame as packet and syn make it. Returns its length. */
#define BED_FRAME_MAX 128
uint16_t bed_udp_frame(uint8_t buf[BED_FRAME_MAX], const struct fq_addr *to, uint16_t number);
uint16_t bed_syn_frame(uint8_t buf[BED_FRAME_MAX], const struct fq_addr *to, uint16_t number,
		       uint32_t stamp);

struct dname bed_name(const char *text);
struct fq_addr bed_proxy(const struct bed *bed, const char *name);
enum edge_state bed_state(const struct bed *bed, const char *name, char resource);
