/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shrinkers and list_lru across kernels:
 * 6.13	list_lru callbacks lost their lock argument
 * 6.8	list_lru_add() takes node and memcg; list_lru_add_obj()
 * 6.7	shrinker_alloc()
 */
#ifndef ANNEX_COMPAT_SHRINK_H
#define ANNEX_COMPAT_SHRINK_H

#include <linux/list_lru.h>
#include <linux/shrinker.h>
#include <linux/version.h>

#define ANNEX_SHRINKER_FLAGS	(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE)

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define ANNEX_LRU_LOCK_ARG
#else
#define ANNEX_LRU_LOCK_ARG spinlock_t *lock,
#endif

typedef unsigned long (*annex_shrink_fn)(struct shrinker *shrinker, struct shrink_control *sc);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define annex_lru_add(lru, item) list_lru_add_obj(lru, item)
#define annex_lru_del(lru, item) list_lru_del_obj(lru, item)
#else
#define annex_lru_add(lru, item) list_lru_add(lru, item)
#define annex_lru_del(lru, item) list_lru_del(lru, item)
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)

typedef struct shrinker *annex_shrinker_t;

static inline int annex_shrinker_add(annex_shrinker_t *s, struct list_lru *lru,
				     annex_shrink_fn count, annex_shrink_fn scan)
{
	int err;

	*s = shrinker_alloc(ANNEX_SHRINKER_FLAGS, "annex-emp");
	if (!*s)
		return -ENOMEM;
	err = list_lru_init_memcg(lru, *s);
	if (err) {
		shrinker_free(*s);
		return err;
	}
	(*s)->count_objects = count;
	(*s)->scan_objects = scan;
	(*s)->seeks = DEFAULT_SEEKS;
	shrinker_register(*s);
	return 0;
}

static inline void annex_shrinker_del(annex_shrinker_t *s, struct list_lru *lru)
{
	shrinker_free(*s);
	list_lru_destroy(lru);
}

#else

typedef struct shrinker annex_shrinker_t;

/*
 * A list_lru by memcg needs the shrinker's id before the shrinker can run, and
 * the function that gives one is not exported here: host-wide pressure only.
 */
static inline int annex_shrinker_add(annex_shrinker_t *s, struct list_lru *lru,
				     annex_shrink_fn count, annex_shrink_fn scan)
{
	int err = list_lru_init(lru);

	if (err)
		return err;
	s->flags = SHRINKER_NUMA_AWARE;
	s->count_objects = count;
	s->scan_objects = scan;
	s->seeks = DEFAULT_SEEKS;
	err = register_shrinker(s, "annex-emp");
	if (err)
		list_lru_destroy(lru);
	return err;
}

static inline void annex_shrinker_del(annex_shrinker_t *s, struct list_lru *lru)
{
	unregister_shrinker(s);
	list_lru_destroy(lru);
}

#endif

#endif
