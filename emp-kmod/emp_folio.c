// SPDX-License-Identifier: GPL-2.0-only
/*
 * Folios of a region.
 *
 * ->index is the region's page number of the first page (so a folio leads back
 * to its subblock), ->mapping stays NULL, ->private is a time or a count of
 * writes, see emp_fetch.c and emp_writeback.c. They are neither movable nor on
 * any LRU list: nobody but this module reclaims them.
 */
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/xxhash.h>

#include "emp_folio.h"
#include "emp_reclaim.h"

/**
 * emp_folio_alloc - a folio for subblock @sub, counted against the limit
 * @r: region
 * @sub: the first subblock it will hold
 * @order: of pages
 * @wait: the caller may sleep
 * @zero: to be zeroed
 *
 * Never goes above the limit and never lets the OOM killer loose: the region
 * evicts its own instead. Return: a folio with one reference, or NULL.
 */
struct folio *emp_folio_alloc(struct emp_region *r, u64 sub, u32 order, bool wait, bool zero)
{
	gfp_t gfp = wait ? GFP_HIGHUSER | __GFP_NORETRY : GFP_NOWAIT | __GFP_HIGHMEM;
	long n = 1L << order, limit = READ_ONCE(r->limit), now;
	struct mem_cgroup *old;
	struct folio *folio;

	now = atomic_long_add_return(n, &r->resident);
	if (limit - now < READ_ONCE(r->low_free) / 2)
		emp_reclaim_kick(r);
	if (now > limit) {
		atomic_long_sub(n, &r->resident);
		return NULL;
	}
	gfp |= __GFP_NOWARN | __GFP_ACCOUNT;
	if (zero)
		gfp |= __GFP_ZERO;
	if (order == HPAGE_PMD_ORDER)
		gfp |= __GFP_NOMEMALLOC;
	old = set_active_memcg(r->memcg);
	folio = folio_alloc(gfp, order);
	set_active_memcg(old);
	if (!folio) {
		atomic_long_sub(n, &r->resident);
		return NULL;
	}
	folio->index = sub << emp_sub_order(r);
	emp_folio_stamp(folio);
	return folio;
}

/** emp_folio_drop - our reference goes, and the pages from the account; any context */
void emp_folio_drop(struct emp_region *r, struct folio *folio)
{
	atomic_long_sub(folio_nr_pages(folio), &r->resident);
	folio->private = NULL;
	folio_put(folio);
	WRITE_ONCE(r->freed, READ_ONCE(r->freed) + 1);
	if (READ_ONCE(r->stuck_since))
		WRITE_ONCE(r->stuck_since, 0);
	if (wq_has_sleeper(&r->free_wait))
		wake_up_all(&r->free_wait);
}

/** emp_folio_zero - are these bytes all zero? */
bool emp_folio_zero(struct folio *folio, size_t off, size_t len)
{
	return !memchr_inv(folio_address(folio) + off, 0, len);
}

/** emp_folio_csum - of these bytes as subblock @sub; right bytes in the wrong place differ */
u32 emp_folio_csum(struct folio *folio, size_t off, size_t len, u64 sub)
{
	return xxh64(folio_address(folio) + off, len, sub);
}
