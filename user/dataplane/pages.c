/* SPDX-License-Identifier: BSD-2-Clause */
/* Arrays made page by page, see pages.h. */
#include "dataplane/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"

static size_t page_bytes(const struct pages *p)
{
	return p->size << p->bits;
}

static int page_map(struct pages *p, uint32_t page, int fd)
{
	void *memory = mmap(NULL, page_bytes(p), p->write ? PROT_READ | PROT_WRITE : PROT_READ,
			    MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	p->page[page] = memory;
	return 0;
}

/* One descriptor is enough to wait by. */
static void page_keep(struct pages *p, uint32_t page, int *fd)
{
	if (p->kept >= 0)
		return;
	p->kept = TAKE_FD(*fd);
	p->kept_page = page;
}

/* One that another process has made. */
static int page_find(struct pages *p, uint32_t page)
{
	_cleanup_(closep) int fd = -1;
	uint32_t id;
	int r;

	if (bpf_map_lookup_elem(p->fd, &page, &id) < 0)
		return errno == ENOENT ? 0 : -errno;
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return -errno;
	r = page_map(p, page, fd);
	if (r == 0)
		page_keep(p, page, &fd);
	return r;
}

static int page_make(struct pages *p, uint32_t page)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	_cleanup_(closep) int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fq_page", sizeof(page),
						  (uint32_t)p->size, 1U << p->bits, &opts);
	int r;

	if (fd < 0)
		return -errno;
	r = page_map(p, page, fd);
	if (r < 0)
		return r;
	if (bpf_map_update_elem(p->fd, &page, &fd, BPF_ANY) < 0) {
		r = -errno;
		munmap(p->page[page], page_bytes(p));
		p->page[page] = NULL;
		return r;
	}
	/* Nothing stands there before this is said. */
	p->there[page / 64] |= 1ULL << page % 64;
	page_keep(p, page, &fd);
	return 0;
}

int pages_open(struct pages *p)
{
	int r = 0;

	p->kept = -1;
	p->page = calloc(p->count, sizeof(*p->page));
	if (!p->page)
		return -ENOMEM;
	for (uint32_t page = 0; page < p->count && r == 0; page++)
		if (p->there[page / 64] >> page % 64 & 1)
			r = page_find(p, page);
	return r;
}

void pages_close(struct pages *p)
{
	for (uint32_t page = 0; p->page && page < p->count; page++)
		if (p->page[page])
			munmap(p->page[page], page_bytes(p));
	free(TAKE_PTR(p->page));
	closep(&p->kept);
}

void *pages_at(const struct pages *p, uint64_t index)
{
	uint64_t page = index >> p->bits;

	if (page >= p->count || !p->page[page])
		return NULL;
	return (char *)p->page[page] + (index & ((1U << p->bits) - 1)) * p->size;
}

int pages_get(struct pages *p, uint64_t index, void *ret_element)
{
	uint64_t page = index >> p->bits;
	int r = 0;

	if (page >= p->count)
		return -E2BIG;
	if (!p->page[page])
		r = page_make(p, (uint32_t)page);
	if (r == 0)
		*(void **)ret_element = pages_at(p, index);
	return r;
}

int pages_wait(const struct pages *p)
{
	if (p->kept < 0)
		return 0;
	return bpf_map_update_elem(p->fd, &p->kept_page, &p->kept, BPF_ANY) < 0 ? -errno : 0;
}
