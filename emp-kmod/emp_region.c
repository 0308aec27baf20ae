// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a region.
 *
 *	NEW	emp_region_create(): known to nobody
 *	LIVE	has a file, a folder in sysfs and a place in emp_regions
 *	DYING	->dying is set: open() fails, no file is open; the teardown work
 *		takes file and folder away, ends the evictor, waits for requests
 *		that are under way, frees folios and tiers
 *
 * A region dies by EMP_IOC_DESTROY, which is refused while a file of it is
 * open (a mapping holds its file open), or, with EMP_F_AUTODESTROY, by the
 * last close. Requests under way can outlast the deadline when a device hangs:
 * teardown is therefore a work item of its own and never in the way of the
 * process that closed the file. Creating waits a while for teardowns, so that
 * a device can be used again at once.
 *
 * References (->ref): the inode, the sysfs folder, every request under way.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "emp_check.h"
#include "emp_crypt.h"
#include "emp_copy.h"
#include "emp_event.h"
#include "emp_fault.h"
#include "emp_folio.h"
#include "emp_fs.h"
#include "emp_migrate.h"
#include "emp_pin.h"
#include "emp_reclaim.h"
#include "emp_region.h"
#include "emp_shrink.h"
#include "emp_sysfs.h"
#include "emp_tier.h"

/* Protects the list of regions, and keeps two from being made with one name. */
DEFINE_MUTEX(emp_regions_lock);
LIST_HEAD(emp_regions);

static struct workqueue_struct *emp_teardown_wq;
static atomic_t emp_teardowns = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(emp_teardown_wait);

#define EMP_LOCKS_MAX		4096u	/* block locks a region */
#define EMP_TEARDOWN_WAIT	(5 * HZ)

static void emp_region_free(struct kref *ref)
{
	struct emp_region *r = container_of(ref, struct emp_region, ref);

	if (r->memcg)
		mem_cgroup_put(r->memcg);
	free_percpu(r->stats);
	emp_crypt_exit(r);
	emp_check_exit(r);
	emp_copy_exit(r);
	kvfree(r->bent);
	kvfree(r->sub);
	kvfree(r->lock);
	kfree(r);
}

void emp_region_get(struct emp_region *r)
{
	kref_get(&r->ref);
}

void emp_region_put(struct emp_region *r)
{
	kref_put(&r->ref, emp_region_free);
}

/** emp_wake_block - something of block @b changed: a fetch, a write or a discard ended */
void emp_wake_block(struct emp_region *r, u32 b)
{
	wait_queue_head_t *wq = emp_block_wait(r, b);

	if (wq_has_sleeper(wq))
		wake_up_all(wq);
}

/** emp_region_find - by name; emp_regions_lock is held; no reference is taken */
struct emp_region *emp_region_find(const char *name)
{
	struct emp_region *r;

	lockdep_assert_held(&emp_regions_lock);
	list_for_each_entry(r, &emp_regions, list)
		if (!strcmp(r->name, name))
			return r;
	return NULL;
}

static bool emp_name_valid(const char *name)
{
	size_t i, len = strnlen(name, EMP_NAME_LEN);

	if (!len || len == EMP_NAME_LEN)
		return false;
	for (i = 0; i < len; i++) {
		char c = name[i];

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			continue;
		if (i && (c == '_' || c == '.' || c == '-'))
			continue;
		return false;
	}
	return true;
}

/*
 * The least DRAM with which every CPU can finish an access: code, data and four
 * levels of a guest's page table each in a block of its own, both sides of an
 * unaligned access, and what the evictor has in hand.
 */
static long emp_limit_min(const struct emp_region *r)
{
	long blocks = 8 * (long)num_online_cpus() + 8;

	return blocks << emp_block_order(r);
}

/* What the user has set, within half of the limit, or defaults. */
static void emp_set_watermarks(struct emp_region *r)
{
	long block = 1L << emp_block_order(r);
	long low = max3(r->limit / 256, min(r->limit / 64, 512L), 2 * block), high;

	low = r->low_wish ?: min(low, max(r->limit / 8, block));
	high = min(r->high_wish ?: low + max(low / 2, block), r->limit / 2);
	if ((u64)r->limit << PAGE_SHIFT >= r->bytes) {
		low = 0;	/* all of it has room: nothing need be freed */
		high = 0;
	}
	WRITE_ONCE(r->low_free, min(low, max(high - 1, 0L)));
	WRITE_ONCE(r->high_free, high);
}

static u64 emp_bytes_to_pages(u64 bytes)
{
	return (bytes >> PAGE_SHIFT) + !!(bytes & (PAGE_SIZE - 1));
}

/* Can tier @i hold copies, if @without is not there? */
static bool emp_region_counts(const struct emp_region *r, u32 i, const struct emp_tier *without)
{
	const struct emp_tier *t = r->tier[i];

	return t && t != without && emp_tier_writable(t) &&
	       !(r->copies && r->copies->remote && !t->ops->remote);
}

/*
 * emp_region_fits - do the tiers hold the region, @without one of them?
 *
 * With redundancy twice: a device counts for one copy at most, however large.
 */
bool emp_region_fits(struct emp_region *r, const struct emp_tier *without)
{
	u64 n = 0, here;
	u32 i, j;

	for (i = 0; i < r->nr_tiers; i++) {
		if (!emp_region_counts(r, i, without))
			continue;
		here = emp_tier_slots(r->tier[i]);
		for (j = 0; r->copies && j < r->nr_tiers; j++) {
			if (j == i || !emp_region_counts(r, j, without) ||
			    emp_tier_apart(r->tier[j], r->tier[i]))
				continue;
			/* counted with the first */
			here = j < i ? 0 : here + emp_tier_slots(r->tier[j]);
			if (!here)
				break;
		}
		n += r->copies ? min_t(u64, here, r->nr_blocks) : here;
	}
	return n >= (r->copies ? 2ULL : 1ULL) * r->nr_blocks;
}

/** emp_region_metadata - bytes of kernel memory that describe the region */
u64 emp_region_metadata(const struct emp_region *r)
{
	u64 n = sizeof(*r) + r->nr_subs * sizeof(*r->sub) +
		(u64)r->nr_blocks * sizeof(*r->bent) +
		(r->lock_mask + 1ULL) * sizeof(*r->lock) +
		num_possible_cpus() * sizeof(struct emp_stats);
	u32 i;

	n += emp_check_metadata(r) + emp_copy_metadata(r);
	for (i = 0; i < r->nr_tiers; i++)
		if (r->tier[i])
			n += sizeof(struct emp_tier) + r->tier[i]->nr_slots / 8 +
			     r->tier[i]->nr_chunks * sizeof(u16) +
			     r->tier[i]->nr_units * sizeof(struct emp_unit);
	return n;
}

/*
 * emp_region_set_limit - change the DRAM limit
 *
 * Takes effect at once for those who allocate; the evictor gives back what is
 * above it. Return: 0, -EDOM below the minimum, -ENOSPC if the tiers cannot
 * hold the region and the new limit cannot either.
 */
int emp_region_set_limit(struct emp_region *r, u64 bytes)
{
	u64 pages = emp_bytes_to_pages(bytes);
	int err = 0;

	if (pages > r->bytes >> PAGE_SHIFT)
		pages = max_t(u64, r->bytes >> PAGE_SHIFT, r->limit_min);
	if ((long)pages < r->limit_min)
		return -EDOM;
	mutex_lock(&r->conf_lock);
	if (!(r->flags & EMP_F_OVERCOMMIT) && pages << PAGE_SHIFT < r->bytes &&
	    !emp_region_fits(r, NULL)) {
		err = -ENOSPC;
	} else {
		WRITE_ONCE(r->limit, pages);
		emp_set_watermarks(r);
		emp_pin_adjust(r);
		emp_reclaim_kick(r);
		wake_up_all(&r->free_wait);
	}
	mutex_unlock(&r->conf_lock);
	return err;
}

static int emp_region_geometry(struct emp_region *r, const struct emp_create *c)
{
	u32 block = c->block_size ?: emp_default_block_size;
	u32 sub = c->subblock_size ?: min(emp_default_subblock_size, block);
	u64 blocks;

	if (!is_power_of_2(block) || block < EMP_BLOCK_MIN || block > EMP_BLOCK_MAX)
		return -EINVAL;
	if (!is_power_of_2(sub) || sub < EMP_SUBBLOCK_MIN || sub > EMP_SUBBLOCK_MAX || sub > block)
		return -EINVAL;
	if (c->map > EMP_MAP_HUGE || (c->map == EMP_MAP_HUGE && block != PMD_SIZE))
		return -EINVAL;
	if (!c->bytes || c->bytes & (block - 1) || c->bytes > MAX_LFS_FILESIZE)
		return -EINVAL;
	r->block_shift = ilog2(block);
	r->sub_shift = ilog2(sub);
	r->sps_shift = r->block_shift - r->sub_shift;
	blocks = c->bytes >> r->block_shift;
	if (blocks > EMP_POLICY_MAX_BLOCKS)
		return -EINVAL;
	r->bytes = c->bytes;
	r->nr_blocks = blocks;
	r->nr_subs = c->bytes >> r->sub_shift;
	r->map = c->map == EMP_MAP_AUTO && block != PMD_SIZE ? EMP_MAP_SMALL : c->map;
	return 0;
}

/*
 * A table of the region. Too large a region is an error of its creator and must
 * not set the OOM killer on others. (kvcalloc() stops at 2 GiB, which is 1 TiB
 * of region in pages.)
 */
void *emp_table_alloc(u64 n, size_t size)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

	if (n * size >> PAGE_SHIFT > si_mem_available())
		return NULL;
	if (n > INT_MAX / size)
		return __vmalloc(array_size(n, size), gfp | __GFP_ZERO);
	return kvcalloc(n, size, gfp);
}

static int emp_region_tables(struct emp_region *r)
{
	u32 i, locks = min_t(u64, roundup_pow_of_two((u64)r->nr_blocks), EMP_LOCKS_MAX);

	r->sub = emp_table_alloc(r->nr_subs, sizeof(*r->sub));
	r->bent = emp_table_alloc(r->nr_blocks, sizeof(*r->bent));
	r->lock = emp_table_alloc(locks, sizeof(*r->lock));
	r->stats = alloc_percpu(struct emp_stats);
	if (!r->sub || !r->bent || !r->lock || !r->stats)
		return -ENOMEM;
	if (emp_check_init(r))
		return -ENOMEM;
	r->lock_mask = locks - 1;
	for (i = 0; i < locks; i++)
		spin_lock_init(&r->lock[i]);
	for (i = 0; i < EMP_WAIT_HASH; i++)
		init_waitqueue_head(&r->wait[i]);
	for (i = 0; i < r->nr_blocks; i++)
		r->bent[i].slot = EMP_NO_SLOT;
	emp_policy_init(&r->policy, r->bent, r->nr_blocks);
	return emp_crypt_init(r);
}

static void emp_region_close_tiers(struct emp_region *r)
{
	u32 i;

	for (i = 0; i < r->nr_tiers; i++) {
		struct emp_tier *t = r->tier[i];

		if (!t)
			continue;
		wait_event(t->idle, !atomic_read(&t->inflight));
		spin_lock_irq(&t->idle.lock);
		spin_unlock_irq(&t->idle.lock);
		emp_sysfs_tier_del(t);
		r->tier[i] = NULL;
		emp_tier_close(t, r->wipe);
	}
}

static void emp_region_free_folios(struct emp_region *r)
{
	u64 s;
	u32 b;

	for (b = 0; b < r->nr_blocks; b++) {
		u64 first = emp_first_sub(r, b);

		for (s = first; s < first + emp_subs_per_block(r); s++) {
			if (r->sub[s] & EMP_S_PRESENT)
				emp_folio_drop(r, emp_word_folio(r->sub[s]));
			r->sub[s] = 0;
		}
		/* The bitmaps of slots went with the tiers. */
		cond_resched();
	}
	WARN_ON_ONCE(atomic_long_read(&r->resident));
}

static void emp_region_teardown(struct work_struct *work)
{
	struct emp_region *r = container_of(work, struct emp_region, teardown);

	emp_sysfs_region_del(r);
	emp_migrate_stop(r);
	emp_pin_stop(r);
	emp_shrink_del(r);
	emp_reclaim_stop(r);
	emp_region_close_tiers(r);	/* waits for all requests */
	emp_copy_stop(r);		/* what the last of them began */
	emp_region_free_folios(r);
	emp_event_post(EMP_EVENT_REGION_DESTROYED, r->name, EMP_EVENT_NO_TIER);

	emp_fs_remove(r);
	mutex_lock(&emp_regions_lock);
	list_del(&r->list);
	mutex_unlock(&emp_regions_lock);
	emp_region_put(r);
	emp_fs_unpin();
	if (atomic_dec_and_test(&emp_teardowns))
		wake_up_all(&emp_teardown_wait);
}

/* ->dying was set by the caller, who is the only one. */
static void emp_region_kill(struct emp_region *r)
{
	atomic_inc(&emp_teardowns);
	queue_work(emp_teardown_wq, &r->teardown);
}

/** emp_region_open - one more open file; -ENXIO when the region is going */
int emp_region_open(struct emp_region *r)
{
	int err = 0;

	spin_lock(&r->life_lock);
	if (r->dying)
		err = -ENXIO;
	else
		r->opens++;
	spin_unlock(&r->life_lock);
	return err;
}

void emp_region_release(struct emp_region *r)
{
	bool kill = false;

	spin_lock(&r->life_lock);
	if (!--r->opens && r->flags & EMP_F_AUTODESTROY) {
		r->dying = true;
		kill = true;
	}
	spin_unlock(&r->life_lock);
	if (kill)
		emp_region_kill(r);
}

/** emp_region_destroy - EMP_IOC_DESTROY */
int emp_region_destroy(const char *name)
{
	struct emp_region *r;
	int err = 0;

	mutex_lock(&emp_regions_lock);
	r = emp_region_find(name);
	if (!r) {
		err = -ENOENT;
	} else {
		spin_lock(&r->life_lock);
		if (r->opens || r->dying)
			err = -EBUSY;
		else
			r->dying = true;
		spin_unlock(&r->life_lock);
	}
	mutex_unlock(&emp_regions_lock);
	if (err)
		return err;
	emp_region_kill(r);
	wait_event_killable_timeout(emp_teardown_wait, !atomic_read(&emp_teardowns),
				    EMP_TEARDOWN_WAIT);
	return 0;
}

static void emp_region_drop_tiers(struct emp_tier **tiers, u32 n)
{
	u32 i;

	for (i = 0; tiers && i < n; i++)
		if (tiers[i])
			emp_tier_close(tiers[i], EMP_WIPE_NONE);
	kfree(tiers);
}

/* Before emp_regions_lock is taken: a donor can take its time. */
static struct emp_tier **emp_region_open_tiers(struct emp_region *r, const struct emp_create *c,
					       struct emp_tier_spec *specs)
{
	struct emp_tier **tiers = kcalloc(c->nr_tiers + 1, sizeof(*tiers), GFP_KERNEL_ACCOUNT);
	struct emp_tier *t;
	u32 i;

	if (!tiers)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < c->nr_tiers; i++) {
		t = emp_tier_open(r, &specs[i]);
		if (IS_ERR(t)) {
			emp_region_drop_tiers(tiers, i);
			return ERR_CAST(t);
		}
		tiers[i] = t;
	}
	return tiers;
}

static int emp_region_add_tiers(struct emp_region *r, const struct emp_create *c,
				struct emp_tier **tiers)
{
	u32 i;
	int err;

	for (i = 0; i < c->nr_tiers; i++) {
		err = emp_tier_attach(r, tiers[i]);
		if (err)
			return err;
		tiers[i] = NULL;
	}
	if (!(c->flags & EMP_F_OVERCOMMIT) && (u64)r->limit << PAGE_SHIFT < r->bytes &&
	    !emp_region_fits(r, NULL))
		return -ENOSPC;
	return 0;
}

static struct emp_region *emp_region_new(const struct emp_create *c)
{
	struct emp_region *r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	u64 pages = emp_bytes_to_pages(c->dram_limit);
	int err;

	if (!r)
		return ERR_PTR(-ENOMEM);
	kref_init(&r->ref);
	strscpy(r->name, c->name, sizeof(r->name));
	r->flags = c->flags;
	r->wipe = c->wipe;
	mutex_init(&r->conf_lock);
	mutex_init(&r->unmap_lock);
	spin_lock_init(&r->life_lock);
	spin_lock_init(&r->policy_lock);
	init_waitqueue_head(&r->evict_wait);
	init_waitqueue_head(&r->wb_wait);
	init_waitqueue_head(&r->free_wait);
	init_completion(&r->gone);
	INIT_WORK(&r->teardown, emp_region_teardown);
	emp_migrate_init(r);
	emp_fault_init_ops(r);
	r->readahead = 128 << 10;
	r->lost_retry_ms = 1000;
	r->promote = 1;
	r->retain_ms = emp_default_retain_ms;

	err = emp_region_geometry(r, c);
	if (err)
		goto put;
	r->limit_min = emp_limit_min(r);
	err = -EDOM;
	if (pages < r->limit_min)
		goto put;
	r->limit = min_t(u64, pages, max_t(u64, r->bytes >> PAGE_SHIFT, r->limit_min));
	emp_set_watermarks(r);
	err = emp_pin_init(r, c->pin_limit);
	if (err)
		goto put;
	r->rest_window = emp_subs_per_block(r);
	err = emp_region_tables(r);
	if (err)
		goto put;
	err = emp_copy_init(r, c->redundancy);
	if (err)
		goto put;
	r->memcg = get_mem_cgroup_from_mm(current->mm);
	return r;
put:
	emp_region_put(r);
	return ERR_PTR(err);
}

/**
 * emp_region_create - EMP_IOC_CREATE without the fd
 * @c: checked for flags and padding only
 * @specs: c->nr_tiers of them; ids are filled in
 *
 * Return: a live region with one open counted for the caller, who gives it
 * back by emp_region_release(); or ERR_PTR, with nothing left behind.
 */
struct emp_region *emp_region_create(const struct emp_create *c, struct emp_tier_spec *specs)
{
	kuid_t uid = make_kuid(&init_user_ns, c->uid);
	kgid_t gid = make_kgid(&init_user_ns, c->gid);
	struct emp_tier **tiers;
	struct emp_region *r;
	int err;

	if (!emp_name_valid(c->name) || c->mode & ~0777u || c->wipe > EMP_WIPE_ZERO ||
	    !uid_valid(uid) || !gid_valid(gid) || c->redundancy > EMP_REDUNDANCY_REPLICA || c->pad)
		return ERR_PTR(-EINVAL);
	if (c->flags & EMP_F_MAC && c->flags & (EMP_F_CHECKSUM | EMP_F_NO_MAC))
		return ERR_PTR(-EINVAL);

	if (wait_event_killable_timeout(emp_teardown_wait, !atomic_read(&emp_teardowns),
					EMP_TEARDOWN_WAIT) < 0)
		return ERR_PTR(-EINTR);

	r = emp_region_new(c);
	if (IS_ERR(r))
		return r;
	r->uid = uid;
	r->gid = gid;
	err = emp_fs_pin();
	if (err)
		goto put;

	mutex_lock(&emp_regions_lock);
	err = emp_region_find(r->name) ? -EEXIST : 0;
	mutex_unlock(&emp_regions_lock);
	if (err)
		goto unpin;
	tiers = emp_region_open_tiers(r, c, specs);
	if (IS_ERR(tiers)) {
		err = PTR_ERR(tiers);
		goto unpin;
	}

	mutex_lock(&emp_regions_lock);
	err = -EEXIST;
	if (emp_region_find(r->name))
		goto unlock;
	err = emp_sysfs_region_add(r);
	if (err)
		goto unlock;
	err = emp_region_add_tiers(r, c, tiers);
	if (err)
		goto close_tiers;
	err = emp_reclaim_start(r);
	if (err)
		goto close_tiers;
	err = emp_shrink_add(r);
	if (err)
		goto stop_reclaim;
	r->opens = 1;
	err = emp_fs_add(r, c->mode);
	if (err)
		goto no_shrink;
	emp_pin_start(r);
	list_add_tail(&r->list, &emp_regions);
	mutex_unlock(&emp_regions_lock);
	kfree(tiers);
	emp_event_post(EMP_EVENT_REGION_CREATED, r->name, EMP_EVENT_NO_TIER);
	return r;

no_shrink:
	emp_shrink_del(r);
stop_reclaim:
	emp_reclaim_stop(r);
close_tiers:
	r->wipe = EMP_WIPE_NONE;	/* nothing of ours is on the tiers */
	emp_migrate_stop(r);
	emp_region_close_tiers(r);
	emp_copy_stop(r);
	emp_sysfs_region_del(r);
unlock:
	mutex_unlock(&emp_regions_lock);
	emp_region_drop_tiers(tiers, c->nr_tiers);
unpin:
	emp_fs_unpin();
put:
	emp_region_put(r);
	return ERR_PTR(err);
}

int emp_region_init(void)
{
	emp_teardown_wq = alloc_workqueue("emp_teardown", WQ_UNBOUND, 0);
	return emp_teardown_wq ? 0 : -ENOMEM;
}

void emp_region_exit(void)
{
	destroy_workqueue(emp_teardown_wq);
}
