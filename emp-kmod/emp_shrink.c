// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shrinker: regions give memory back when the host, or the memory cgroup
 * that a region is charged to, is short.
 *
 * A region is one item on a list_lru, in the list of its own memcg: that is
 * how the core knows which cgroups have something here, and what brings us the
 * regions of the one that is short. What is counted are the region's folios
 * above its minimum.
 */
#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "../compat/emp_compat_shrink.h"
#include "emp_reclaim.h"
#include "emp_region.h"
#include "emp_shrink.h"

struct emp_shrink_item {
	struct list_head lru;
	struct emp_region *region;
};

/* What one walk over the list gathers. */
struct emp_shrink_walk {
	unsigned long pages;
	u32 skip;			/* regions to pass over */
	struct emp_region *found;	/* referenced; NULL if all were passed over */
};

static struct list_lru emp_lru;
static struct kmem_cache *emp_shrink_cache;
static annex_shrinker_t emp_shrinker;

/* What is being written goes anyhow. */
static unsigned long emp_shrinkable(struct emp_region *r)
{
	long n = atomic_long_read(&r->resident) - atomic_long_read(&r->wb_pages) - r->limit_min;

	return n > 0 ? n : 0;
}

static enum lru_status emp_shrink_look(struct list_head *item, struct list_lru_one *list,
				       ANNEX_LRU_LOCK_ARG void *arg)
{
	struct emp_shrink_item *it = container_of(item, struct emp_shrink_item, lru);
	struct emp_shrink_walk *w = arg;

	w->pages += emp_shrinkable(it->region);
	if (w->skip)
		w->skip--;
	else if (!w->found && kref_get_unless_zero(&it->region->ref))
		w->found = it->region;
	return LRU_SKIP;
}

static void emp_shrink_walk(struct shrink_control *sc, struct emp_shrink_walk *w)
{
	unsigned long nr = ULONG_MAX;

	list_lru_walk_one(&emp_lru, sc->nid, sc->memcg, emp_shrink_look, w, &nr);
}

static unsigned long emp_shrink_count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct emp_shrink_walk w = { .skip = U32_MAX };

	emp_shrink_walk(sc, &w);
	return w.pages;	/* 0, not SHRINK_EMPTY: the region will grow again */
}

static unsigned long emp_shrink_scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	unsigned long freed = 0;
	u32 i;

	/* Writing back needs the block layer; our own faults must not come back here. */
	if (!(sc->gfp_mask & __GFP_IO) || !(sc->gfp_mask & __GFP_FS))
		return SHRINK_STOP;
	for (i = 0; freed < sc->nr_to_scan; i++) {
		struct emp_shrink_walk w = { .skip = i };
		unsigned long want;
		long n;

		emp_shrink_walk(sc, &w);
		if (!w.found)
			break;
		want = min(sc->nr_to_scan - freed, emp_shrinkable(w.found));
		/* A region that is going has no evictor and must not get new writes. */
		if (want && emp_region_open(w.found) == 0) {
			n = emp_reclaim_all(w.found, want);
			emp_count_add(w.found, shrinker_freed, n);
			freed += n;
			emp_region_release(w.found);
		}
		emp_region_put(w.found);
	}
	return freed ?: SHRINK_STOP;
}

/** emp_shrink_add - a new region, whose ->memcg is set */
int emp_shrink_add(struct emp_region *r)
{
	struct emp_shrink_item *it;
	struct mem_cgroup *old;

	old = set_active_memcg(r->memcg);
	it = kmem_cache_alloc_lru(emp_shrink_cache, &emp_lru, GFP_KERNEL_ACCOUNT);
	set_active_memcg(old);
	if (!it)
		return -ENOMEM;
	INIT_LIST_HEAD(&it->lru);
	it->region = r;
	r->shrink = it;
	annex_lru_add(&emp_lru, &it->lru);
	return 0;
}

void emp_shrink_del(struct emp_region *r)
{
	if (!r->shrink)
		return;
	annex_lru_del(&emp_lru, &r->shrink->lru);
	kmem_cache_free(emp_shrink_cache, r->shrink);
	r->shrink = NULL;
}

int emp_shrink_init(void)
{
	int err;

	emp_shrink_cache = KMEM_CACHE(emp_shrink_item, SLAB_ACCOUNT);
	if (!emp_shrink_cache)
		return -ENOMEM;
	err = annex_shrinker_add(&emp_shrinker, &emp_lru, emp_shrink_count, emp_shrink_scan);
	if (err)
		kmem_cache_destroy(emp_shrink_cache);
	return err;
}

void emp_shrink_exit(void)
{
	annex_shrinker_del(&emp_shrinker, &emp_lru);
	kmem_cache_destroy(emp_shrink_cache);
}
