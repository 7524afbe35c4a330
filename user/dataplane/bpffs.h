/* SPDX-License-Identifier: BSD-2-Clause */
/* The directory in which maps, programs and links are pinned: for the files of dataplane/. */
#pragma once

#include "dataplane/internal.h"

/* Paths inside it. Return: 0; -ENAMETOOLONG. */
int dp_path(char path[DP_PATH_MAX], const char *bpffs, const char *leaf);
int dp_path_map(char path[DP_PATH_MAX], const char *bpffs, enum dp_map map);
int dp_path_link(char path[DP_PATH_MAX], const char *bpffs, uint32_t ifindex);

/*
 * A word about an interface, kept beside its link as long as we are attached: where a symbolic link
 * points to. Setting NULL or "" removes it. What is not there is "".
 */
#define DP_NOTE_MAX 160
void bpffs_note_set(const char *bpffs, uint32_t ifindex, const char *note);
void bpffs_note_get(const char *bpffs, uint32_t ifindex, char ret_note[DP_NOTE_MAX]);

/* That we have made the clsact queueing discipline of an interface: the same way. */
void bpffs_qdisc_set(const char *bpffs, uint32_t ifindex, bool ours);
bool bpffs_qdisc_get(const char *bpffs, uint32_t ifindex);

/* Make the directory; mount /sys/fs/bpf if that is where it is and nothing is mounted. */
int bpffs_prepare(const char *bpffs, struct dp_error *err);

/* Remove the directories that are empty. */
void bpffs_tidy(const char *bpffs);

/* Remove what a process that died between pinning and renaming has left. */
void bpffs_remove_unfinished(const char *bpffs);

/* Remove pinned maps and programs, then the directories. Links are the caller's. */
void bpffs_unpin(const char *bpffs);

/* Pin @fd at @path, in the place of what is pinned there. */
int bpffs_pin(int fd, const char *path);

/* Every pinned link: fd and the interface's index by its file name. @cb returns non-zero to end. */
typedef int (*bpffs_link_fn)(void *ctx, int fd, uint32_t ifindex, const char *path);
int bpffs_links(const char *bpffs, bpffs_link_fn cb, void *ctx);

/* Open the pinned maps into @maps (-1 where there is none) and check what they are. */
int bpffs_open_maps(const char *bpffs, uint32_t file_flags, struct dp_error *err,
		    int maps[M_COUNT]);
void close_fds(int *fds, size_t n);
