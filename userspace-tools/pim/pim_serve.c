// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The provider's side of pim.ko; see include/uapi/annex/pim.h for the rings.
 */
#include "pim_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

struct pim_serve {
	int fd;
	struct pim_ring *ring;
	size_t ring_bytes;
	const struct pim_request *req;
	struct pim_completion *cmp;
	uint32_t depth;
	uint32_t seen;		/* requests taken */
	uint32_t completed;	/* completions put into the ring */
	uint32_t told;		/* ... that the kernel was told of */
	uint8_t *mram;
	size_t mram_bytes;
	uint64_t mram_size;	/* of one DPU */
	bool mram_gone;		/* it is not mapped, or not as it should be */
};

int pim_control_open(struct ax_msg *msg)
{
	const char *path = getenv("PIM_CONTROL") ?: "/dev/pim-control";
	struct pim_info info = { .size = sizeof(info) };
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return ax_fail(msg, "%s: %s%s", path, strerror(errno),
			       errno == ENOENT ? " (modprobe pim)" :
			       errno == EACCES ? " (run as root)" : "");
	if (ioctl(fd, PIM_IOC_INFO, &info)) {
		ax_fail(msg, "%s is not pim.ko's control device: %s", path, strerror(errno));
		goto close;
	}
	if (info.abi != PIM_ABI) {
		ax_fail(msg, "pim.ko %.31s has interface %u, this program %u: install both of one version",
			info.version, info.abi, PIM_ABI);
		goto close;
	}
	return fd;
close:
	close(fd);
	return -1;
}

void pim_serve_defaults(struct pim_rank_add *add, uint32_t id, uint32_t nr_cis,
			uint32_t nr_dpus_per_ci, uint64_t mram_size)
{
	memset(add, 0, sizeof(*add));
	add->size = sizeof(*add);
	add->id = id;
	add->nr_cis = nr_cis;
	add->nr_dpus_per_ci = nr_dpus_per_ci;
	add->mram_size = mram_size;
	add->channel_id = 255;
}

static int add_error(const struct pim_rank_add *add, struct ax_msg *msg)
{
	switch (errno) {
	case EPERM:
		return ax_fail(msg, "adding a rank needs root (CAP_SYS_ADMIN)");
	case EEXIST:
		return ax_fail(msg, "rank %u has a provider already (pimctl rank list)", add->id);
	case EINVAL:
		return ax_fail(msg, "rank %u: the kernel refuses its description, or it is there with another one (pimctl rank remove %u)",
			       add->id, add->id);
	case ENOSPC:
		return ax_fail(msg, "there are %u ranks, more are not possible", PIM_RANKS_MAX);
	}
	return ax_fail(msg, "cannot add a rank: %s", strerror(errno));
}

struct pim_serve *pim_serve_add(int control, struct pim_rank_add *add, struct ax_msg *msg)
{
	struct pim_serve *s = calloc(1, sizeof(*s));
	uint32_t depth = add->depth ?: 64;

	if (!s) {
		ax_fail(msg, "out of memory");
		return NULL;
	}
	s->ring = MAP_FAILED;
	s->mram = MAP_FAILED;
	s->fd = ioctl(control, PIM_IOC_RANK_ADD, add);
	if (s->fd < 0) {
		add_error(add, msg);
		goto free;
	}
	s->depth = depth;
	s->ring_bytes = PIM_RING_BYTES(depth);
	s->ring = mmap(NULL, s->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
		       PIM_MMAP_RING);
	s->mram_size = add->mram_size;
	s->mram_bytes = add->mram_size * add->nr_dpus_per_ci * PIM_CIS_MAX;
	s->mram = mmap(NULL, s->mram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
		       s->fd, PIM_MMAP_MRAM);
	if (s->ring == MAP_FAILED || s->mram == MAP_FAILED) {
		ax_fail(msg, "cannot map rank %u: %s", add->id, strerror(errno));
		goto close;
	}
	s->req = (void *)((char *)s->ring + s->ring->req_offset);
	s->cmp = (void *)((char *)s->ring + s->ring->cmp_offset);
	return s;
close:
	if (s->ring != MAP_FAILED)
		munmap(s->ring, s->ring_bytes);
	if (s->mram != MAP_FAILED)
		munmap(s->mram, s->mram_bytes);
	close(s->fd);
free:
	free(s);
	return NULL;
}

void pim_serve_close(struct pim_serve *s)
{
	munmap(s->ring, s->ring_bytes);
	munmap(s->mram, s->mram_bytes);
	close(s->fd);
	free(s);
}

int pim_serve_fd(const struct pim_serve *s)
{
	return s->fd;
}

void *pim_serve_mram(const struct pim_serve *s, uint32_t dpu)
{
	return s->mram + dpu * s->mram_size;
}

int pim_serve_unmap_mram(struct pim_serve *s)
{
	/* its place stays taken */
	if (mmap(s->mram, s->mram_bytes, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	s->mram_gone = true;
	return 0;
}

int pim_serve_map_mram(struct pim_serve *s)
{
	s->mram_gone = true;
	if (mmap(s->mram, s->mram_bytes, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE | MAP_FIXED, s->fd, PIM_MMAP_MRAM) == MAP_FAILED)
		return -errno;
	s->mram_gone = false;
	return 0;
}

bool pim_serve_mram_mapped(const struct pim_serve *s)
{
	return !s->mram_gone;
}

int pim_serve_put_state(struct pim_serve *s, const void *bytes, uint32_t size)
{
	struct pim_state_io io = {
		.size = sizeof(io), .bytes = size, .buf = (uintptr_t)bytes
	};

	return ioctl(s->fd, PIM_IOC_STATE_PUT, &io) ? -errno : 0;
}

int64_t pim_serve_get_state(struct pim_serve *s, void *bytes, uint32_t room)
{
	struct pim_state_io io = {
		.size = sizeof(io), .bytes = room, .buf = (uintptr_t)bytes
	};

	return ioctl(s->fd, PIM_IOC_STATE_GET, &io) ? -errno : (int64_t)io.bytes;
}

int pim_serve_take(struct pim_serve *s, struct pim_request *req)
{
	if (__atomic_load_n(&s->ring->req_prod, __ATOMIC_ACQUIRE) == s->seen)
		return 0;
	*req = s->req[s->seen & (s->depth - 1)];
	s->seen++;
	return 1;
}

void pim_serve_uring(struct pim_serve *s, struct pim_uring_run *run)
{
	__atomic_store_n(&s->ring->cmp_prod, s->completed, __ATOMIC_RELEASE);
	s->told = s->completed;
	*run = (struct pim_uring_run) { .seen = s->seen };
}

int pim_serve_next(struct pim_serve *s, struct pim_request *req, int timeout_ms)
{
	uint32_t prod = __atomic_load_n(&s->ring->req_prod, __ATOMIC_ACQUIRE);

	if (s->completed != s->told || (prod == s->seen && timeout_ms >= 0)) {
		struct pim_run run = {
			.size = sizeof(run),
			.flags = timeout_ms < 0 ? PIM_RUN_NOWAIT : 0,
			.seen = s->seen,
			.timeout_ms = timeout_ms > 0 ? timeout_ms : 0,
		};

		__atomic_store_n(&s->ring->cmp_prod, s->completed, __ATOMIC_RELEASE);
		if (ioctl(s->fd, PIM_IOC_RUN, &run)) {
			if (errno != EINTR)
				return -1;
			s->told = s->completed;	/* taken before it waited */
			return 0;
		}
		s->told = s->completed;
	}
	return pim_serve_take(s, req);
}

void pim_serve_complete(struct pim_serve *s, const struct pim_request *req, int result,
			const uint64_t *words)
{
	struct pim_completion *c = &s->cmp[s->completed & (s->depth - 1)];

	memset(c, 0, sizeof(*c));
	c->tag = req->tag;
	c->seq = req->seq;
	c->result = result;
	if (words)
		memcpy(c->words, words, sizeof(c->words));
	s->completed++;
}
