// SPDX-License-Identifier: GPL-2.0-only
/* Small transfers; see dpu_small.h. The caller has the lock. */
#include "dpu_small.h"

#define DPU_BIT(dpu)	(1ull << (dpu))

/* --- writes that are kept ------------------------------------------------------------ */

/** dpu_small_send - what was kept goes to the rank; its error, also an earlier one */
int dpu_small_send(struct dpu_small *s, const struct dpu_small_io *io)
{
	u32 nr = s->nr;
	int err;

	if (s->error || !nr)
		return s->error;
	s->nr = 0;
	err = io->move(io->ctx, false, s->dpus, nr, s->offset, s->bytes, s->data);
	s->direct = s->direct || err;
	if (err)
		s->error = err == -EINTR ? -EIO : err;	/* nobody will write it any more */
	return err;
}

/* The place of @dpu's bytes among those that are kept; @nr: it has none. */
static u32 dpu_small_place(const struct dpu_small *s, u32 dpu)
{
	u32 i;

	for (i = 0; i < s->nr; i++) {
		if (s->dpus[i] == dpu)
			break;
	}
	return i;
}

/* Keep it with the others, if it fits to them. */
static bool dpu_small_join(struct dpu_small *s, u32 dpu, u32 offset, u32 bytes, const void *from)
{
	u32 place = dpu_small_place(s, dpu);

	if (!s->nr)
		return false;
	if (offset == s->offset && bytes == s->bytes &&
	    (place + 1) * (u64)bytes <= DPU_SMALL_BUFFER) {
		memcpy(s->data + place * bytes, from, bytes);
		s->dpus[place] = dpu;
		if (place == s->nr)
			s->nr++;
		return true;
	}
	if (s->nr == 1 && !place && offset == s->offset + s->bytes &&
	    s->bytes + bytes <= DPU_SMALL_BUFFER) {
		memcpy(s->data + s->bytes, from, bytes);
		s->bytes += bytes;
		return true;
	}
	return false;
}

/*
 * dpu_small_write - a small write
 *
 * @bytes up to DPU_SMALL_BYTES. Return: 0, also when it is only kept, or an error
 * of what was kept before.
 */
int dpu_small_write(struct dpu_small *s, const struct dpu_small_io *io, u32 dpu, u32 offset,
		    u32 bytes, const void *from)
{
	int err;

	dpu_small_forget_range(s, offset, bytes);
	if (s->error)
		return s->error;
	if (!s->direct && dpu_small_join(s, dpu, offset, bytes, from)) {
		s->merged++;
		return 0;
	}
	err = dpu_small_send(s, io);
	if (err)
		return err;
	memcpy(s->data, from, bytes);
	s->dpus[0] = dpu;
	s->nr = 1;
	s->offset = offset;
	s->bytes = bytes;
	return io->merge && !s->direct ? 0 : dpu_small_send(s, io);
}

/* --- reads ---------------------------------------------------------------------------- */

/** dpu_small_forget - what was read ahead may have changed */
void dpu_small_forget(struct dpu_small *s)
{
	u32 i;

	for (i = 0; i < DPU_SMALL_WINDOWS; i++)
		s->window[i].ahead = 0;
}

/** dpu_small_forget_range - the same, of some bytes of any DPU */
void dpu_small_forget_range(struct dpu_small *s, u32 offset, u32 bytes)
{
	u32 i;

	for (i = 0; i < DPU_SMALL_WINDOWS; i++) {
		struct dpu_small_window *w = &s->window[i];

		if (offset < w->offset + w->bytes && w->offset < offset + bytes)
			w->ahead = 0;
	}
}

/* Where a DPU's bytes are among those of all DPUs in @mask. */
static u32 dpu_small_rank_of(u64 mask, u32 dpu)
{
	return hweight64(mask & (DPU_BIT(dpu) - 1));
}

static void dpu_small_note(struct dpu_small *s, struct dpu_small_window *w, u32 dpu, u32 offset,
			   u32 bytes)
{
	w->dpu = dpu;
	w->last_offset = offset;
	w->last_bytes = bytes;
	w->used = ++s->clock;
}

/* Is it there, and was not given out before? */
static bool dpu_small_hit(struct dpu_small *s, struct dpu_small_window *w,
			  const struct dpu_small_io *io, u32 dpu, u32 offset, u32 bytes, void *to)
{
	if (!(w->ahead & DPU_BIT(dpu)) || io->now - w->when > DPU_SMALL_MS)
		return false;
	if (w->single) {
		if (offset < w->next || offset + bytes > w->offset + w->bytes)
			return false;
		memcpy(to, w->data + (offset - w->offset), bytes);
		w->next = offset + bytes;
	} else {
		if (offset != w->offset || bytes != w->bytes)
			return false;
		memcpy(to, w->data + dpu_small_rank_of(io->all, dpu) * bytes, bytes);
		w->ahead &= ~DPU_BIT(dpu);
	}
	dpu_small_note(s, w, dpu, offset, bytes);
	return true;
}

/* The same bytes of all DPUs. */
static int dpu_small_read_all(struct dpu_small *s, struct dpu_small_window *w,
			      const struct dpu_small_io *io, u32 dpu, u32 offset, u32 bytes,
			      void *to)
{
	u8 dpus[DPU_SMALL_DPUS];
	u32 nr = 0, i;
	int err;

	for (i = 0; i < DPU_SMALL_DPUS; i++) {
		if (io->all & DPU_BIT(i))
			dpus[nr++] = i;
	}
	w->ahead = 0;
	err = io->move(io->ctx, true, dpus, nr, offset, bytes, w->data);
	if (err)
		return err;
	memcpy(to, w->data + dpu_small_rank_of(io->all, dpu) * bytes, bytes);
	w->single = false;
	w->offset = offset;
	w->bytes = bytes;
	w->ahead = io->all & ~DPU_BIT(dpu);
	w->when = io->now;
	s->ahead_bytes += (nr - 1) * (u64)bytes;
	return 0;
}

/* This DPU's, and what comes next of it. */
static int dpu_small_read_on(struct dpu_small *s, struct dpu_small_window *w,
			     const struct dpu_small_io *io, u32 dpu, u32 offset, u32 bytes,
			     void *to)
{
	u32 more = min(DPU_SMALL_AHEAD, io->mram_size - offset);
	u8 which = dpu;
	int err;

	more = max(more, bytes);
	w->ahead = 0;
	err = io->move(io->ctx, true, &which, 1, offset, more, w->data);
	if (err)
		return err;
	memcpy(to, w->data, bytes);
	w->single = true;
	w->offset = offset;
	w->bytes = more;
	w->next = offset + bytes;
	w->ahead = DPU_BIT(dpu);
	w->when = io->now;
	s->ahead_bytes += more - bytes;
	return 0;
}

static int dpu_small_read_one(struct dpu_small_window *w, const struct dpu_small_io *io, u32 dpu,
			      u32 offset, u32 bytes, void *to)
{
	u8 which = dpu;
	int err;

	w->ahead = 0;
	err = io->move(io->ctx, true, &which, 1, offset, bytes, w->data);
	if (!err)
		memcpy(to, w->data, bytes);
	return err;
}

/* Which pattern this read goes on with; else the one that was left alone longest. */
static struct dpu_small_window *dpu_small_pattern(struct dpu_small *s, u32 dpu, u32 offset,
						  u32 bytes, bool *all, bool *on)
{
	struct dpu_small_window *oldest = &s->window[0];
	u32 i;

	*all = false;
	*on = false;
	for (i = 0; i < DPU_SMALL_WINDOWS; i++) {
		struct dpu_small_window *w = &s->window[i];

		if (w->used < oldest->used)
			oldest = w;
		if (!w->last_bytes)
			continue;
		*all = w->dpu != dpu && w->last_offset == offset && w->last_bytes == bytes;
		*on = w->dpu == dpu && w->last_offset + w->last_bytes == offset;
		if (*all || *on || (w->dpu == dpu && w->last_offset == offset))
			return w;
	}
	return oldest;
}

/** dpu_small_read - a small read; @bytes up to DPU_SMALL_BYTES */
int dpu_small_read(struct dpu_small *s, const struct dpu_small_io *io, u32 dpu, u32 offset,
		   u32 bytes, void *to)
{
	struct dpu_small_window *w;
	bool all, on;
	u32 i;
	int err;

	for (i = 0; i < DPU_SMALL_WINDOWS && !s->error; i++) {
		if (dpu_small_hit(s, &s->window[i], io, dpu, offset, bytes, to)) {
			s->hits++;
			return 0;
		}
	}
	err = dpu_small_send(s, io);
	if (err)
		return err;
	w = dpu_small_pattern(s, dpu, offset, bytes, &all, &on);
	/* If it cannot be had with more, it may be had alone. */
	err = !io->prefetch || !(all || on) ? -EAGAIN :
	      all ? dpu_small_read_all(s, w, io, dpu, offset, bytes, to) :
		    dpu_small_read_on(s, w, io, dpu, offset, bytes, to);
	if (err && err != -EINTR)
		err = dpu_small_read_one(w, io, dpu, offset, bytes, to);
	s->direct = s->direct || err;
	if (!err)
		dpu_small_note(s, w, dpu, offset, bytes);
	return err;
}

/** dpu_small_reset - for a new owner; the buffers stay */
void dpu_small_reset(struct dpu_small *s)
{
	u32 i;

	for (i = 0; i < DPU_SMALL_WINDOWS; i++)
		s->window[i] = (struct dpu_small_window) { .data = s->window[i].data };
	s->clock = 0;
	s->nr = 0;
	s->error = 0;
	s->direct = false;
}
