/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the time of BPF programs goes, by line of their source.
 *
 *     perf script -F ip,sym | bench-lines
 *
 * Reads samples, an address and a symbol a line, and prints the share of each source line of the
 * programs that are loaded now, and of each function of the kernel. The kernel knows to which line
 * the instructions belong that it has made (bpf_prog_info, BTF). Called by lines.sh; root.
 */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>

#define PROGS_MAX  256
#define SHOWN      60
#define PLACE_MAX  128
#define TEXT_SHOWN 70

struct prog {
	struct bpf_prog_info info;
	uint64_t *start, *address; /* of functions; of lines, in the order of @line */
	uint32_t *len;             /* of functions */
	struct bpf_line_info *line;
	struct btf *btf;
};

struct place {
	char text[PLACE_MAX];
	unsigned int samples;
};

static struct prog progs[PROGS_MAX];
static unsigned int prog_count;

static void *room(size_t count, size_t size)
{
	void *p = calloc(count + 1, size);

	if (!p) {
		fprintf(stderr, "bench-lines: %s\n", strerror(ENOMEM));
		exit(1);
	}
	return p;
}

/* The kernel tells how much there is, and then fills what it is given. */
static int read_prog(int fd, struct prog *p)
{
	struct bpf_prog_info n = {0}, *i = &p->info;
	uint32_t size = sizeof(n);

	if (bpf_obj_get_info_by_fd(fd, &n, &size) < 0)
		return -errno;
	*i = (struct bpf_prog_info){
		.nr_jited_ksyms = n.nr_jited_ksyms,
		.nr_jited_func_lens = n.nr_jited_func_lens,
		.nr_jited_line_info = n.nr_jited_line_info,
		.nr_line_info = n.nr_line_info,
		.jited_line_info_rec_size = sizeof(*p->address),
		.line_info_rec_size = sizeof(*p->line),
	};
	p->start = room(n.nr_jited_ksyms, sizeof(*p->start));
	p->len = room(n.nr_jited_func_lens, sizeof(*p->len));
	p->address = room(n.nr_jited_line_info, sizeof(*p->address));
	p->line = room(n.nr_line_info, sizeof(*p->line));
	i->jited_ksyms = (uintptr_t)p->start;
	i->jited_func_lens = (uintptr_t)p->len;
	i->jited_line_info = (uintptr_t)p->address;
	i->line_info = (uintptr_t)p->line;
	size = sizeof(*i);
	if (bpf_obj_get_info_by_fd(fd, i, &size) < 0)
		return -errno;
	p->btf = i->btf_id ? btf__load_from_kernel_by_id(i->btf_id) : NULL;
	return 0;
}

static void read_progs(void)
{
	uint32_t id = 0;

	while (prog_count < PROGS_MAX && bpf_prog_get_next_id(id, &id) == 0) {
		int fd = bpf_prog_get_fd_by_id(id);

		/* It may have been unloaded meanwhile. */
		if (fd >= 0 && read_prog(fd, &progs[prog_count]) == 0)
			prog_count++;
		if (fd >= 0)
			close(fd);
	}
}

/* The last line that begins in function @f at or before @address; -1: none. */
static int line_of(const struct prog *p, unsigned int f, uint64_t address)
{
	int best = -1;

	for (unsigned int i = 0; i < p->info.nr_jited_line_info; i++)
		if (p->address[i] >= p->start[f] && p->address[i] <= address &&
		    (best < 0 || p->address[i] >= p->address[best]))
			best = (int)i;
	return best;
}

static void name_line(const struct prog *p, int line, char text[PLACE_MAX])
{
	const struct bpf_line_info *l = &p->line[line];
	const char *file = btf__name_by_offset(p->btf, l->file_name_off);
	const char *source = btf__name_by_offset(p->btf, l->line_off);
	const char *base = file ? strrchr(file, '/') : NULL;

	while (source && isspace((unsigned char)*source))
		source++;
	snprintf(text, PLACE_MAX, "%s:%u  %.*s",
		 base   ? base + 1
		 : file ? file
			: "?",
		 BPF_LINE_INFO_LINE_NUM(l->line_col), TEXT_SHOWN, source ? source : "");
}

/* Return: false if no program has the address. */
static bool find_line(uint64_t address, char text[PLACE_MAX])
{
	for (unsigned int i = 0; i < prog_count; i++) {
		const struct prog *p = &progs[i];

		for (unsigned int f = 0; f < p->info.nr_jited_ksyms; f++) {
			int line;

			if (address < p->start[f] || address - p->start[f] >= p->len[f])
				continue;
			line = p->btf ? line_of(p, f, address) : -1;
			if (line >= 0)
				name_line(p, line, text);
			return line >= 0;
		}
	}
	return false;
}

static void add(struct place **places, size_t *count, const char *text)
{
	struct place *p = *places;

	for (size_t i = 0; i < *count; i++) {
		if (strcmp(p[i].text, text) == 0) {
			p[i].samples++;
			return;
		}
	}
	p = realloc(p, (*count + 1) * sizeof(*p));
	if (!p)
		exit(1);
	*places = p;
	p[*count].samples = 1;
	snprintf(p[(*count)++].text, PLACE_MAX, "%s", text);
}

static int by_samples(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->samples < y->samples) - (x->samples > y->samples);
}

int main(void)
{
	struct place *places = NULL;
	size_t count = 0, total = 0;
	char row[512];

	read_progs();
	while (fgets(row, sizeof(row), stdin)) {
		char text[PLACE_MAX], *rest;
		uint64_t address = strtoull(row, &rest, 16);

		if (rest == row)
			continue;
		total++;
		rest += strspn(rest, " \t");
		rest[strcspn(rest, "\n")] = '\0';
		if (!find_line(address, text))
			snprintf(text, sizeof(text), "(%.100s)", *rest ? rest : "unknown");
		add(&places, &count, text);
	}
	qsort(places, count, sizeof(*places), by_samples);
	printf("%zu samples\n", total);
	for (size_t i = 0; i < count && i < SHOWN; i++)
		printf("%5.1f %%  %s\n", 100.0 * places[i].samples / total, places[i].text);
	free(places);
	return 0;
}
