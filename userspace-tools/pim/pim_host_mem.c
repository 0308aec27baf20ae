// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memories, programs and symbols of a rank.
 *
 * IRAM and WRAM go word by word through the control interfaces, MRAM through
 * transfers, which take whole multiples of 8 bytes: what is not is read first.
 */
#include <stdlib.h>
#include <string.h>

#include "pim_host.h"

#define CI_ALL	0xff
#define LW	0x706344000000ULL	/* lw r0, zero, 0 */
#define SW	0x7c6044000000ULL	/* sw zero, 0, r0: the word comes with the frame */

/* --- WRAM ----------------------------------------------------------------------- */

static uint64_t lw(uint32_t at)
{
	return LW | (uint64_t)(at & 15) << 20 | (uint64_t)(at >> 4 & 15) << 16 |
	       (uint64_t)(at >> 8 & 1) << 15 | (uint64_t)(at >> 9 & 1) << 14 |
	       (uint64_t)(at >> 10 & 1) << 13 | (uint64_t)(at >> 11 & 1) << 12 |
	       (uint64_t)(at >> 12 & 0xfff);
}

static uint64_t sw(uint32_t at)
{
	return SW | (uint64_t)(at & 15) << 20 | (uint64_t)(at >> 4 & 7) << 39 |
	       (uint64_t)(at >> 7 & 1) << 24 | (uint64_t)(at >> 8 & 1) << 15 |
	       (uint64_t)(at >> 9 & 1) << 14 | (uint64_t)(at >> 10 & 1) << 13 |
	       (uint64_t)(at >> 11 & 1) << 12 | (uint64_t)(at >> 12 & 0xfff);
}

static uint8_t byte(uint64_t word, int n)
{
	return (uint8_t)(word >> 8 * n);
}

static int read_word(struct pim_host *h, unsigned int index, uint32_t at, uint32_t *value,
		     struct ax_msg *msg)
{
	int c = (int)(index % PIM_RANK_NR_CIS);
	uint64_t word = lw(at), frame;

	frame = 0x99ULL << 48 | byte(word, 2) | (uint64_t)byte(word, 5) << 8 |
		(uint64_t)byte(word, 4) << 16 | (uint64_t)byte(word, 0) << 24 |
		(uint64_t)byte(word, 1) << 32 | (uint64_t)byte(word, 3) << 40;
	if (pim_host_select(h, (int)index, msg) ||
	    pim_host_frame(h, (uint8_t)(1u << c), 0x0002003f, frame, msg))
		return -1;
	*value = (uint32_t)h->results[c];
	return 0;
}

/* To the DPUs that are selected, on the interfaces in @mask. */
static int write_word(struct pim_host *h, uint8_t mask, uint32_t at, uint32_t value,
		      struct ax_msg *msg)
{
	uint64_t word = sw(at), structure, frame;

	structure = 0x3ff | (uint64_t)byte(word, 0) << 16 | (uint64_t)byte(word, 1) << 24 |
		    (uint64_t)byte(word, 3) << 32 | 0x99ULL << 40;
	frame = value | (uint64_t)byte(word, 2) << 32 | (uint64_t)byte(word, 5) << 40 |
		(uint64_t)byte(word, 4) << 48;
	return pim_host_frame(h, mask, structure, frame, msg);
}

int pim_host_wram_write(struct pim_host *h, int index, uint32_t at, const void *bytes,
			uint32_t size, struct ax_msg *msg)
{
	uint8_t mask = index < 0 ? CI_ALL : (uint8_t)(1u << index % PIM_RANK_NR_CIS);
	const uint8_t *from = bytes;
	uint32_t done = 0;

	while (done < size) {
		uint32_t here = at + done, word = here & ~3u, skip = here & 3, value = 0;
		uint32_t part = 4 - skip < size - done ? 4 - skip : size - done;

		if (part < 4) {
			/* a part of a word: keep the rest, which may differ between DPUs */
			if (index < 0) {
				for (unsigned int n = 0; n < h->nr_dpus; n++) {
					if (pim_host_wram_write(h, (int)n, here, from + done, part,
								msg))
						return -1;
				}
				done += part;
				continue;
			}
			if (read_word(h, (unsigned int)index, word, &value, msg))
				return -1;
		}
		memcpy((uint8_t *)&value + skip, from + done, part);
		if (pim_host_select(h, index, msg) || write_word(h, mask, word, value, msg))
			return -1;
		done += part;
	}
	return 0;
}

int pim_host_wram_read(struct pim_host *h, unsigned int index, uint32_t at, void *bytes,
		       uint32_t size, struct ax_msg *msg)
{
	uint8_t *to = bytes;
	uint32_t done = 0, value;

	while (done < size) {
		uint32_t skip = (at + done) & 3;
		uint32_t part = 4 - skip < size - done ? 4 - skip : size - done;

		if (read_word(h, index, (at + done) & ~3u, &value, msg))
			return -1;
		memcpy(to + done, (uint8_t *)&value + skip, part);
		done += part;
	}
	return 0;
}

/* --- IRAM -------------------------------------------------------------------------- */

int pim_host_iram_read(struct pim_host *h, unsigned int index, uint32_t at, uint64_t *word,
		       struct ax_msg *msg)
{
	int c = (int)(index % PIM_RANK_NR_CIS);

	*word = 0;
	if (pim_host_select(h, (int)index, msg))
		return -1;
	for (unsigned int n = 0; n < 6; n++) {
		if (pim_host_frame(h, (uint8_t)(1u << c), 3,
				   0x02000000 | (0x40 + n) << 16 | (at & 0xffff), msg))
			return -1;
		*word |= (uint64_t)(uint8_t)h->results[c] << 8 * n;
	}
	return 0;
}

/* --- MRAM ---------------------------------------------------------------------------- */

/* One transfer of whole units. */
static int move(struct pim_host *h, const struct pim_matrix *m, bool write, struct ax_msg *msg)
{
	struct pim_backend *b = h->backend;
	int error;

	if (pim_host_mux(h, 0, msg))
		return -1;
	error = write ? b->ops->write(b, m) : b->ops->read(b, m);
	if (error)
		return ax_fail(msg, "%s: %s %u bytes of MRAM at %u: %s", b->ops->name,
			       write ? "writing" : "reading", m->size, m->offset, strerror(-error));
	return 0;
}

/* The part that is no whole multiple of 8: through a copy. */
static int move_edge(struct pim_host *h, uint32_t at, void *const bytes[PIM_RANK_NR_DPUS],
		     uint32_t done, uint32_t part, bool write, struct ax_msg *msg)
{
	uint8_t units[PIM_RANK_NR_DPUS][8] = { { 0 } };
	struct pim_matrix m = { .offset = at & ~7u, .size = 8 };

	for (int n = 0; n < PIM_RANK_NR_DPUS; n++)
		m.ptr[n] = bytes[n] ? units[n] : NULL;
	if (move(h, &m, false, msg))
		return -1;
	for (int n = 0; n < PIM_RANK_NR_DPUS; n++) {
		uint8_t *user = bytes[n] ? (uint8_t *)bytes[n] + done : NULL;

		if (user && write)
			memcpy(units[n] + (at & 7), user, part);
		else if (user)
			memcpy(user, units[n] + (at & 7), part);
	}
	return write ? move(h, &m, true, msg) : 0;
}

static int transfer(struct pim_host *h, uint32_t at, void *const bytes[PIM_RANK_NR_DPUS],
		    uint32_t size, bool write, struct ax_msg *msg)
{
	struct pim_matrix m;
	uint32_t done = 0, part;

	while (done < size) {
		uint32_t here = at + done;

		if (!(here & 7) && size - done >= 8) {
			part = (size - done) & ~7u;
			m.offset = here;
			m.size = part;
			for (int n = 0; n < PIM_RANK_NR_DPUS; n++)
				m.ptr[n] = bytes[n] ? (uint8_t *)bytes[n] + done : NULL;
			if (move(h, &m, write, msg))
				return -1;
		} else {
			part = 8 - (here & 7) < size - done ? 8 - (here & 7) : size - done;
			if (move_edge(h, here, bytes, done, part, write, msg))
				return -1;
		}
		done += part;
	}
	return 0;
}

int pim_host_mram_write(struct pim_host *h, uint32_t at, const void *const bytes[PIM_RANK_NR_DPUS],
			uint32_t size, struct ax_msg *msg)
{
	void *from[PIM_RANK_NR_DPUS];

	/* only read from */
	memcpy(from, bytes, sizeof(from));
	return transfer(h, at, from, size, true, msg);
}

int pim_host_mram_read(struct pim_host *h, uint32_t at, void *const bytes[PIM_RANK_NR_DPUS],
		       uint32_t size, struct ax_msg *msg)
{
	return transfer(h, at, bytes, size, false, msg);
}

/* --- programs --------------------------------------------------------------------------- */

static int load_iram(struct pim_host *h, const struct pim_segment *s, struct ax_msg *msg)
{
	uint32_t count = s->size / 8;
	uint64_t *words = calloc(count ? count : 1, sizeof(*words));
	int status;

	if (!words)
		return ax_fail(msg, "out of memory");
	for (uint32_t n = 0; n < count; n++) {
		for (int b = 0; b < 6; b++)
			words[n] |= (uint64_t)s->bytes[n * 8 + (uint32_t)b] << 8 * b;
	}
	status = pim_host_iram_write(h, s->at / 8, words, count, msg);
	free(words);
	return status;
}

static int load_wram(struct pim_host *h, const struct pim_segment *s, struct ax_msg *msg)
{
	uint8_t *bytes = calloc(1, (size_t)s->mem_size + 1);
	int status;

	if (!bytes)
		return ax_fail(msg, "out of memory");
	memcpy(bytes, s->bytes, s->size);
	status = pim_host_wram_write(h, -1, s->at, bytes, s->mem_size, msg);
	free(bytes);
	return status;
}

static int load_mram(struct pim_host *h, const struct pim_segment *s, struct ax_msg *msg)
{
	const void *bytes[PIM_RANK_NR_DPUS] = { NULL };

	for (unsigned int n = 0; n < h->nr_dpus; n++)
		bytes[n] = s->bytes;
	/* what is in no file is not cleared: it can be all of MRAM */
	return pim_host_mram_write(h, s->at, bytes, s->size, msg);
}

int pim_host_load(struct pim_host *h, const struct pim_program *p, struct ax_msg *msg)
{
	for (uint32_t n = 0; n < p->nr_segments; n++) {
		const struct pim_segment *s = &p->segments[n];
		uint64_t limit = s->space == PIM_SPACE_IRAM ? PIM_IRAM_SIZE * 8 :
				 s->space == PIM_SPACE_WRAM ? PIM_WRAM_SIZE : PIM_MRAM_SIZE;
		int status;

		if ((uint64_t)s->at + s->mem_size > limit)
			return ax_fail(msg, "the program needs %u bytes of %s at %u: there are %llu",
				       s->mem_size, pim_space_name(s->space), s->at,
				       (unsigned long long)limit);
		status = s->space == PIM_SPACE_IRAM ? load_iram(h, s, msg) :
			 s->space == PIM_SPACE_WRAM ? load_wram(h, s, msg) : load_mram(h, s, msg);
		if (status)
			return -1;
	}
	return 0;
}

/* --- symbols ------------------------------------------------------------------------------ */

static int place(const struct pim_symbol *s, uint32_t offset, uint32_t *size, uint32_t *at,
		 enum pim_space *space, struct ax_msg *msg)
{
	if (s->absolute)
		return ax_fail(msg, "'%s' is a constant, no variable", s->name);
	*space = pim_elf_space(s->value, at);
	if (*space != PIM_SPACE_WRAM && *space != PIM_SPACE_MRAM)
		return ax_fail(msg, "'%s' is in %s: only WRAM and MRAM can be read and written",
			       s->name, pim_space_name(*space));
	if (!*size) {
		if (s->size <= offset)
			return ax_fail(msg, "'%s' has no size of its own there: say how much",
				       s->name);
		*size = s->size - offset;
	}
	if ((uint64_t)*at + offset + *size >
	    (*space == PIM_SPACE_WRAM ? PIM_WRAM_SIZE : PIM_MRAM_SIZE))
		return ax_fail(msg, "'%s' and %u bytes from %u on are beyond the end of %s",
			       s->name, *size, offset, pim_space_name(*space));
	*at += offset;
	return 0;
}

int pim_host_symbol_write(struct pim_host *h, unsigned int index, const struct pim_symbol *s,
			  uint32_t offset, const void *bytes, uint32_t size, struct ax_msg *msg)
{
	const void *all[PIM_RANK_NR_DPUS] = { NULL };
	enum pim_space space;
	uint32_t at;

	if (place(s, offset, &size, &at, &space, msg))
		return -1;
	if (space == PIM_SPACE_WRAM)
		return pim_host_wram_write(h, (int)index, at, bytes, size, msg);
	all[index] = bytes;
	return pim_host_mram_write(h, at, all, size, msg);
}

int pim_host_symbol_read(struct pim_host *h, unsigned int index, const struct pim_symbol *s,
			 uint32_t offset, void *bytes, uint32_t size, struct ax_msg *msg)
{
	void *all[PIM_RANK_NR_DPUS] = { NULL };
	enum pim_space space;
	uint32_t at;

	if (place(s, offset, &size, &at, &space, msg))
		return -1;
	if (space == PIM_SPACE_WRAM)
		return pim_host_wram_read(h, index, at, bytes, size, msg);
	all[index] = bytes;
	return pim_host_mram_read(h, at, all, size, msg);
}
