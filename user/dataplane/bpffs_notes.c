/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words about an interface, for later processes: symbolic links in the bpffs, beside what is pinned
 * there for it, that lead nowhere and say what is to be known. They go with the directory.
 */
#include <stdio.h>
#include <unistd.h>

#include "dataplane/bpffs.h"
#include "dataplane/internal.h"

static int path_note(char path[DP_PATH_MAX], const char *bpffs, uint32_t ifindex, const char *what)
{
	char leaf[64];

	snprintf(leaf, sizeof(leaf), "links/%u_%s", ifindex, what);
	return dp_path(path, bpffs, leaf);
}

static void note_set(const char *bpffs, uint32_t ifindex, const char *what, const char *text)
{
	char path[DP_PATH_MAX];

	if (path_note(path, bpffs, ifindex, what) < 0)
		return;
	(void)unlink(path);
	/* Nothing depends on it but what is shown, and a queueing discipline that stays. */
	if (text && *text)
		(void)!symlink(text, path);
}

static void note_get(const char *bpffs, uint32_t ifindex, const char *what,
		     char ret_text[DP_NOTE_MAX])
{
	char path[DP_PATH_MAX];
	ssize_t len = -1;

	if (path_note(path, bpffs, ifindex, what) == 0)
		len = readlink(path, ret_text, DP_NOTE_MAX - 1);
	ret_text[len < 0 ? 0 : len] = '\0';
}

void bpffs_note_set(const char *bpffs, uint32_t ifindex, const char *note)
{
	note_set(bpffs, ifindex, "why", note);
}

void bpffs_note_get(const char *bpffs, uint32_t ifindex, char ret_note[DP_NOTE_MAX])
{
	note_get(bpffs, ifindex, "why", ret_note);
}

void bpffs_qdisc_set(const char *bpffs, uint32_t ifindex, bool ours)
{
	note_set(bpffs, ifindex, "qdisc", ours ? "ours" : NULL);
}

bool bpffs_qdisc_get(const char *bpffs, uint32_t ifindex)
{
	char text[DP_NOTE_MAX];

	note_get(bpffs, ifindex, "qdisc", text);
	return *text;
}
