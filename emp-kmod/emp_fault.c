// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of a region and their faults.
 *
 * ->fault gives the core a locked folio, which the core maps (with a PMD when
 * it is of order 9 and the place suits) and unlocks. The folio lock keeps
 * discard away between our look at the word and the core's mapping; eviction is
 * kept away by the reference. Everything is mapped read-only at first:
 * ->page_mkwrite is how we learn of the first write, and the only way a clean
 * subblock becomes dirty (but for pinnable regions).
 *
 * Waiting. A fault never holds a lock of the mm while it waits, if its flags
 * let it go: it returns VM_FAULT_RETRY after the wait, whatever came of it, and
 * is called again. FAULT_FLAG_RETRY_NOWAIT never waits: the fetch goes on and
 * the caller comes back. Waits are as interruptible as the flags say, and end
 * at the tier's deadline. Lost data is VM_FAULT_HWPOISON (KVM makes it a machine
 * check of the guest, a process gets SIGBUS with an address).
 *
 * KVM's asynchronous worker asks for write access whatever the guest wanted,
 * and throws the answer away: it must bring the data in but neither map nor
 * dirty it. It is known by being a kernel thread that faults on a foreign mm.
 *
 * When the worker has ended, the vCPU's thread faults on the same page, to map
 * it ahead, wherever the guest is by then: a machine check now would hit a
 * bystander, or the guest's kernel. Such a fault looks like one of the guest's
 * own, but it is not made again. So a vCPU hears of lost data the second time
 * only; the first time its fault ends as if by a signal, which makes it leave
 * KVM and come back.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/mempolicy.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>

#include "../compat/emp_compat_mm.h"
#include "emp_discard.h"
#include "emp_fault.h"
#include "emp_fetch.h"
#include "emp_folio.h"
#include "emp_pin.h"
#include "emp_reclaim.h"
#include "emp_tier.h"
#include "emp_trace.h"
#include "emp_writeback.h"

#define EMP_AROUND_MAX	32	/* pages mapped with one fault, at most */
/* In what time a vCPU comes back: less than the second until a read is tried again. */
#define EMP_TOLD_JIFFIES (HZ / 2)

/* Where this CPU's reader is, if it reads on and on. */
struct emp_stream {
	struct emp_region *region;	/* only compared */
	u64 next;			/* subblock expected next */
	u64 ahead;			/* end of what was read ahead */
	u32 window;			/* subblocks; 0: not sequential so far */
};

static DEFINE_PER_CPU(struct emp_stream, emp_stream);

static bool emp_is_kvm_async(const struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_REMOTE && vmf->flags & FAULT_FLAG_WRITE &&
	       current->flags & PF_WQ_WORKER;
}

static unsigned int emp_wait_state(unsigned int flags)
{
	if (flags & FAULT_FLAG_INTERRUPTIBLE)
		return TASK_INTERRUPTIBLE;
	if (flags & FAULT_FLAG_KILLABLE)
		return TASK_KILLABLE;
	return TASK_UNINTERRUPTIBLE;
}

/* Sleep on @wq until @cond, a signal that @state admits, or @until (jiffies). */
#define emp_wait(wq, cond, state, until)					\
({										\
	long __left = max_t(long, (long)((until) - jiffies), 0) + 1;		\
										\
	___wait_event(wq, ___wait_cond_timeout(cond), state, 0, __left,		\
		      __ret = schedule_timeout(__ret));				\
})

/*
 * Wait for @sub (or, if @memory, for DRAM) as @vmf's flags allow.
 * The caller holds the region: with the locks given up its file can go.
 *
 * Return: VM_FAULT_RETRY, or 0 if the locks are still held and the caller
 * should look again, or an error.
 */
static vm_fault_t emp_fault_wait(struct emp_region *r, struct vm_fault *vmf, u64 sub,
				 bool memory, unsigned long until)
{
	unsigned int state = emp_wait_state(vmf->flags);
	wait_queue_head_t *wq = memory ? &r->free_wait : emp_block_wait(r, emp_block_of(r, sub));
	bool unlock = vmf->flags & FAULT_FLAG_ALLOW_RETRY;
	long n = 1L << (r->map == EMP_MAP_SMALL ? emp_sub_order(r) : emp_block_order(r));
	long ret;

	if (vmf->flags & FAULT_FLAG_ALLOW_RETRY && vmf->flags & FAULT_FLAG_RETRY_NOWAIT) {
		emp_count(r, fault_nowait);
		return VM_FAULT_RETRY;
	}
	/*
	 * A system call's own access does not end by a signal, though its flags say so:
	 * with one pending it would come back at once, again and again. get_user_pages()
	 * does not come back then, unless the signal is a moment old.
	 */
	if (state == TASK_INTERRUPTIBLE && vmf->flags & FAULT_FLAG_TRIED &&
	    !(vmf->flags & FAULT_FLAG_USER) && signal_pending(current)) {
		state = TASK_KILLABLE;
		if (time_after(until, jiffies + msecs_to_jiffies(10)))
			until = jiffies + msecs_to_jiffies(10);
	}
	if (unlock)
		release_fault_lock(vmf);	/* the file can go with the mapping: @r is held */
	if (memory) {
		emp_count(r, fault_memory);
		emp_reclaim_waiting(r);
		if (emp_free_pages(r) >= n)
			emp_reclaim_pressure(r);
		else
			emp_reclaim_kick(r);
		ret = emp_wait(*wq, !READ_ONCE(r->pressure) &&
			       (emp_free_pages(r) >= n || emp_reclaim_stuck(r)), state, until);
	} else {
		emp_count(r, fault_wait);
		ret = emp_wait(*wq, emp_get_settled(r, sub), state, until);
	}
	if (ret < 0)
		emp_count(r, fault_interrupted);
	if (unlock)
		return VM_FAULT_RETRY;
	/* Not to be interrupted but by death, and that is seen to by the caller of the fault. */
	return ret < 0 ? VM_FAULT_SIGBUS : 0;
}

/* Follow this CPU's reader; returns subblocks worth reading ahead from *from. */
static u32 emp_stream_note(struct emp_region *r, u64 sub, u64 *from)
{
	struct emp_stream *st = get_cpu_ptr(&emp_stream);
	u32 max = READ_ONCE(r->readahead) >> r->sub_shift, n = 0;

	if (st->region == r && (sub == st->next || sub + 1 == st->next)) {
		if (sub == st->next)
			st->window = min(max, max(4u, st->window * 2));
	} else {
		st->window = 0;
		st->ahead = 0;
	}
	st->region = r;
	st->next = sub + 1;
	if (st->window && st->ahead < sub + 1 + st->window / 2) {
		*from = max(st->ahead, sub + 1);
		n = sub + 1 + st->window - *from;
		st->ahead = *from + n;
	}
	put_cpu_ptr(&emp_stream);
	return n;
}

/*
 * How much of a block is worth fetching with the subblock that is wanted: all
 * of it while most of what came that way is used, less and less while it is
 * not. Judged every so often; a lost race costs nothing but a late judgement.
 */
static u32 emp_rest_window(struct emp_region *r)
{
	u64 fetched = emp_stats_sum(r, EMP_C_prefetch_subblocks);
	u64 used = emp_stats_sum(r, EMP_C_prefetch_used);
	u32 window = READ_ONCE(r->rest_window);
	u64 n = fetched - r->rest_fetched;

	if (n < 64)
		return window;
	if (used - r->rest_used < n / 2)
		window = max(window / 2, 1u);
	else
		window = min(window * 2, emp_subs_per_block(r));
	WRITE_ONCE(r->rest_window, window);
	r->rest_fetched = fetched;
	r->rest_used = used;
	return window;
}

/* Return: subblocks whose reading began. */
static u32 emp_read_ahead(struct emp_region *r, u64 sub)
{
	u32 b = emp_block_of(r, sub), n, begun = 0;
	u64 from, first = emp_first_sub(r, b), end = first + emp_subs_per_block(r);

	if (!READ_ONCE(r->readahead))
		return 0;
	/* The rest of the block, which is one unit of placement. */
	if (r->sps_shift && !(READ_ONCE(r->bent[b].flags) & EMP_B_HUGE)) {
		n = emp_rest_window(r);
		begun += emp_fetch_ahead(r, sub + 1, min(sub + 1 + n, end));
		if (n == emp_subs_per_block(r))
			begun += emp_fetch_ahead(r, first, sub);
	}
	n = emp_stream_note(r, sub, &from);
	if (n && r->map == EMP_MAP_SMALL)
		begun += emp_fetch_ahead(r, from, min(from + n, r->nr_subs));
	return begun;
}

/*
 * With little DRAM free: evict about what this fault has taken, and a little
 * more; more still if it has to wait for its read anyway.
 */
static void emp_fault_help(struct emp_region *r, u32 subs_ahead, bool waits)
{
	u32 blocks = (waits ? EMP_HELP_MEANWHILE : EMP_HELP_NOW) + (subs_ahead >> r->sps_shift);

	if (unlikely(emp_free_pages(r) < READ_ONCE(r->low_free)))
		emp_reclaim_help(r, blocks);
}

/* A page after the one that faulted, if it can be mapped without any wait. */
static struct folio *emp_around_get(struct emp_region *r, u64 sub)
{
	u32 b = emp_block_of(r, sub);
	spinlock_t *lock = emp_block_lock(r, b);
	struct folio *folio = NULL;
	unsigned long flags, w;
	enum emp_q where;

	w = READ_ONCE(r->sub[sub]);
	if ((w & (EMP_S_PRESENT | EMP_S_UPTODATE)) != (EMP_S_PRESENT | EMP_S_UPTODATE))
		return NULL;
	/* One that was unmapped to see whether it is used: that takes a fault of its own. */
	where = emp_policy_where(&r->bent[b]);
	if (where != EMP_Q_S && where != EMP_Q_M)
		return NULL;
	spin_lock_irqsave(lock, flags);
	w = r->sub[sub];
	if ((w & (EMP_S_PRESENT | EMP_S_UPTODATE)) == (EMP_S_PRESENT | EMP_S_UPTODATE)) {
		folio = emp_word_folio(w);
		if (folio_trylock(folio)) {
			if (w & EMP_S_AHEAD)
				emp_count(r, prefetch_used);
			w = (w & ~EMP_S_AHEAD) | EMP_S_MAPPED;
			/* A mapping of a pinnable region is writable at once. */
			if (r->flags & EMP_F_PINNABLE && !(w & EMP_S_DIRTY))
				emp_mark_dirty(r, b, sub, &w);
			r->sub[sub] = w;
			folio_get(folio);
		} else {
			folio = NULL;
		}
	}
	spin_unlock_irqrestore(lock, flags);
	return folio;
}

/*
 * map=small: map the rest of the subblock, and what follows it in DRAM, with
 * the same fault. @folio is the one that faulted, locked.
 */
static void emp_map_around(struct emp_region *r, struct vm_fault *vmf, struct folio *folio,
			   bool sequential)
{
	struct page *pages[EMP_AROUND_MAX];
	struct folio *held[EMP_AROUND_MAX];
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = (vmf->address & PAGE_MASK) + PAGE_SIZE, end, left;
	pgoff_t pgoff = vmf->pgoff + 1;
	u32 n = 0, h = 0, i, max;

	end = min(ALIGN(addr, PMD_SIZE), vma->vm_end);	/* one page table */
	if (addr >= end || (!sequential && pgoff >= folio->index + folio_nr_pages(folio)))
		return;
	max = min_t(unsigned long, (end - addr) >> PAGE_SHIFT, EMP_AROUND_MAX);
	while (n < max) {
		if (pgoff >= folio->index + folio_nr_pages(folio)) {
			if (!sequential)
				break;
			folio = emp_around_get(r, emp_sub_of(r, pgoff));
			if (!folio)
				break;
			held[h++] = folio;
		}
		pages[n++] = folio_page(folio, pgoff - folio->index);
		pgoff++;
	}
	left = n;
	if (n)
		vm_insert_pages(vma, addr, pages, &left);
	for (i = 0; i < h; i++) {
		folio_unlock(held[i]);
		folio_put(held[i]);
	}
	if (n > left) {
		struct emp_stream *st = get_cpu_ptr(&emp_stream);

		st->next = emp_sub_of(r, vmf->pgoff + (n - left)) + 1;
		put_cpu_ptr(&emp_stream);
		emp_count_add(r, fault_around, n - left);
	}
}

static bool emp_stream_sequential(struct emp_region *r)
{
	struct emp_stream *st = get_cpu_ptr(&emp_stream);
	bool seq = st->region == r && st->window;

	put_cpu_ptr(&emp_stream);
	return seq;
}

/* The folio is ours to map: lock it and make sure that it still is the subblock's. */
static vm_fault_t emp_fault_hand(struct emp_region *r, struct vm_fault *vmf, struct folio *folio)
{
	u64 s = emp_folio_sub(r, folio);
	unsigned long w;

	if (!folio_trylock(folio)) {
		if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT) {
			folio_put(folio);
			emp_count(r, fault_nowait);
			return VM_FAULT_RETRY;
		}
		folio_lock(folio);	/* held by other faults and by discard, briefly */
	}
	w = READ_ONCE(r->sub[s]);
	if (!(w & EMP_S_PRESENT) || emp_word_folio(w) != folio) {
		folio_unlock(folio);
		folio_put(folio);
		return 0;
	}
	vmf->page = folio_page(folio, vmf->pgoff - folio->index);
	if (unlikely(PageHWPoison(vmf->page))) {
		folio_unlock(folio);
		emp_poisoned(r, folio);
		folio_put(folio);
		return 0;
	}
	if (folio_order(folio) == HPAGE_PMD_ORDER)
		emp_count(r, fault_huge);
	return VM_FAULT_LOCKED;
}

/*
 * What cannot be read: VM_FAULT_HWPOISON, but for a vCPU that hears it for the
 * first time. If it does not wait now, KVM lets it fault again with a wait, or
 * asks its worker, after which the fault ahead waits: that one leaves KVM. If
 * the table forgets or confuses somebody, it takes a round more, or one less.
 */
static vm_fault_t emp_fault_lost(struct emp_region *r, struct vm_fault *vmf, u64 sub)
{
	bool nowait = vmf->flags & FAULT_FLAG_RETRY_NOWAIT;
	u64 key = hash_64((unsigned long)current ^ sub << 6, 32), *told, w;

	if (!ANNEX_GUP_INTERRUPTIBLE || vmf->flags & (FAULT_FLAG_USER | FAULT_FLAG_REMOTE) ||
	    !(vmf->flags & FAULT_FLAG_ALLOW_RETRY) ||
	    !(nowait || vmf->flags & FAULT_FLAG_INTERRUPTIBLE))
		return VM_FAULT_HWPOISON;
	told = &r->told[key % EMP_TOLD];
	w = READ_ONCE(*told);
	if (w >> 32 == key && (u32)jiffies - (u32)w < EMP_TOLD_JIFFIES) {
		WRITE_ONCE(*told, 0);
		return VM_FAULT_HWPOISON;
	}
	if (!nowait) {
		WRITE_ONCE(*told, key << 32 | (u32)jiffies);
		set_thread_flag(TIF_SIGPENDING); /* gone when the thread leaves the kernel */
		release_fault_lock(vmf);
	}
	return VM_FAULT_RETRY;
}

static void emp_fault_time(struct emp_region *r, bool write, u64 start)
{
	u64 ns = max_t(s64, local_clock() - start, 0);

	if (write)
		emp_hist_add(r, fault_write_ns, ns);
	else
		emp_hist_add(r, fault_read_ns, ns);
}

static vm_fault_t emp_fault(struct vm_fault *vmf)
{
	struct emp_region *r = vmf->vma->vm_file->private_data;
	bool nowait = vmf->flags & FAULT_FLAG_RETRY_NOWAIT;
	bool write = vmf->flags & FAULT_FLAG_WRITE, began;
	u64 start = local_clock(), sub;
	struct folio *folio;
	unsigned long until;
	bool held = false;
	enum emp_get got;
	u32 how = 0, ahead = 0;
	vm_fault_t ret;

	if (unlikely((u64)vmf->pgoff >= r->bytes >> PAGE_SHIFT))
		return VM_FAULT_SIGBUS;
	if (!nowait)
		how |= EMP_GET_SLEEP;
	if (vmf->flags & FAULT_FLAG_TRIED)
		how |= EMP_GET_WAITED;
	sub = emp_sub_of(r, vmf->pgoff);
	trace_emp_fault_begin(r, vmf->pgoff, vmf->flags);
	began = !(READ_ONCE(r->sub[sub]) & EMP_S_PRESENT);
again:
	got = emp_get(r, sub, how, &folio, &until);
	if (unlikely(got != EMP_GET_OK) && !held) {
		/* What follows may unlock: then the file, and the region, can go. */
		emp_region_get(r);
		held = true;
	}
	switch (got) {
	case EMP_GET_OK:
		if (!nowait && (began || r->map == EMP_MAP_SMALL))
			ahead = emp_read_ahead(r, sub);
		emp_fault_help(r, ahead, false);
		if (emp_is_kvm_async(vmf)) {
			emp_count(r, fault_async);
			folio_put(folio);
			ret = VM_FAULT_SIGBUS;	/* nobody looks at it */
			break;
		}
		if (emp_pin_refused(r, folio)) {
			folio_put(folio);
			ret = VM_FAULT_SIGBUS;
			break;
		}
		ret = emp_fault_hand(r, vmf, folio);
		if (!ret)
			goto again;
		if (ret != VM_FAULT_LOCKED)
			break;
		if (!began)
			emp_count(r, fault_minor);
		if (r->map == EMP_MAP_SMALL && !write)
			emp_map_around(r, vmf, folio, emp_stream_sequential(r));
		/* Called again after a wait: that was counted, with the wait. */
		if (!(vmf->flags & FAULT_FLAG_TRIED))
			emp_fault_time(r, write, start);
		break;
	case EMP_GET_WAIT:
		if (!nowait && began)
			ahead = emp_read_ahead(r, sub);
		emp_fault_help(r, ahead, true);
		if (!nowait)
			emp_get_poll(r, sub);
		if (emp_get_settled(r, sub)) {
			how |= EMP_GET_TRIED;
			goto again;
		}
		ret = emp_fault_wait(r, vmf, sub, false, until);
		how |= EMP_GET_TRIED;
		if (!ret)
			goto again;
		if (!nowait)
			emp_fault_time(r, write, start);
		break;
	case EMP_GET_MEMORY:
		if (emp_reclaim_stuck(r)) {
			emp_count(r, fault_no_space);
			ret = emp_fault_lost(r, vmf, sub);
			break;
		}
		if (emp_reclaim_direct(r))
			goto again;
		ret = emp_fault_wait(r, vmf, sub, true, jiffies + HZ / 10);
		if (!ret)
			goto again;
		if (!nowait)
			emp_fault_time(r, write, start);
		break;
	case EMP_GET_TIMEOUT:
		emp_count(r, fault_timeout);
		ret = emp_fault_lost(r, vmf, sub);
		break;
	default:
		emp_count(r, fault_lost);
		ret = emp_fault_lost(r, vmf, sub);
		break;
	}
	trace_emp_fault_end(r, sub, (__force unsigned int)ret);
	if (held)
		emp_region_put(r);
	return ret;
}

/*
 * With the tiers full, what becomes dirty and has no slot can never leave DRAM.
 * It may fill DRAM but for a reserve, in which what is stored can still be read:
 * it is the write that finds no place that gets the error. What is being written
 * may turn out to have no place either; and while slots are few, as many are
 * kept for what is dirty already as make the reserve. Block @b is locked.
 */
static bool emp_may_dirty(struct emp_region *r, u32 b, struct folio *folio)
{
	long reserve = max(READ_ONCE(r->limit) / 8, r->limit_min), dirty;

	if (likely(!(r->flags & EMP_F_OVERCOMMIT)) || r->bent[b].slot != EMP_NO_SLOT)
		return true;
	dirty = atomic_long_read(&r->dirty) + atomic_long_read(&r->wb_pages) +
		folio_nr_pages(folio);
	return emp_slots_free(r, reserve >> emp_block_order(r)) ||
	       READ_ONCE(r->limit) >= r->bytes >> PAGE_SHIFT ||
	       dirty + reserve <= READ_ONCE(r->limit);
}

/* First write to a page that is mapped read-only, or is about to be mapped. */
static vm_fault_t emp_mkwrite(struct vm_fault *vmf)
{
	struct emp_region *r = vmf->vma->vm_file->private_data;
	struct folio *folio = page_folio(vmf->page);
	u64 s = emp_folio_sub(r, folio);
	u32 b = emp_block_of(r, s);
	spinlock_t *lock = emp_block_lock(r, b);
	unsigned long flags, w;

	if (emp_is_kvm_async(vmf)) {
		emp_count(r, fault_async);
		return VM_FAULT_SIGBUS;
	}
	folio_lock(folio);
	spin_lock_irqsave(lock, flags);
	w = r->sub[s];
	if (!(w & EMP_S_PRESENT) || emp_word_folio(w) != folio) {
		spin_unlock_irqrestore(lock, flags);
		folio_unlock(folio);
		return VM_FAULT_NOPAGE;	/* discarded: the access is made again */
	}
	if (!(w & EMP_S_DIRTY) && !emp_may_dirty(r, b, folio)) {
		spin_unlock_irqrestore(lock, flags);
		folio_unlock(folio);
		if (emp_slots_free(r, 0))
			emp_reclaim_pressure(r);
		emp_count(r, fault_no_space);
		return VM_FAULT_HWPOISON;
	}
	if (!(w & EMP_S_DIRTY)) {
		emp_mark_dirty(r, b, s, &w);
		r->sub[s] = w;
		emp_count(r, fault_mkwrite);
	}
	spin_unlock_irqrestore(lock, flags);
	return VM_FAULT_LOCKED;
}

/*
 * Fault-around by the core is of no use to us (nothing exported installs a
 * page table entry from here), but the op's being there is what lets the core
 * call ->fault under the VMA lock alone.
 */
static vm_fault_t emp_map_pages(struct vm_fault *vmf, pgoff_t start, pgoff_t end)
{
	return 0;
}

/* No policy that migrates on fault: NUMA balancing leaves the mapping alone. */
#ifdef CONFIG_NUMA
static struct mempolicy *emp_get_policy(ANNEX_GET_POLICY_ARGS)
{
	return NULL;
}
#endif

static const struct vm_operations_struct emp_vm_ops = {
	.fault		= emp_fault,
	.page_mkwrite	= emp_mkwrite,
	.map_pages	= emp_map_pages,
#ifdef CONFIG_NUMA
	.get_policy	= emp_get_policy,
#endif
};

/* Without page_mkwrite the core allows long-term pins; emp_get() marks all dirty. */
static const struct vm_operations_struct emp_vm_ops_pinnable = {
	.fault		= emp_fault,
	.map_pages	= emp_map_pages,
#ifdef CONFIG_NUMA
	.get_policy	= emp_get_policy,
#endif
};

/** emp_fault_init_ops - a pinnable region has its own copy, see emp_pin.c */
void emp_fault_init_ops(struct emp_region *r)
{
	r->vm_ops = emp_vm_ops_pinnable;
}

/** emp_fault_mmap - mmap(2) of a region: MAP_SHARED, within its size */
int emp_fault_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct emp_region *r = file->private_data;
	u64 pages = vma_pages(vma);

	if (!(vma->vm_flags & VM_SHARED) && !(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_pgoff > r->bytes >> PAGE_SHIFT ||
	    pages > (r->bytes >> PAGE_SHIFT) - vma->vm_pgoff)
		return -EINVAL;
	/*
	 * No growing by mremap(). VM_MIXEDMAP is for vm_insert_pages(); a mapping
	 * that may hold PMDs must not have it (the core would take them for
	 * special ones when it zaps).
	 */
	annex_vm_flags_set(vma, VM_DONTEXPAND | (r->map == EMP_MAP_SMALL ? VM_MIXEDMAP : 0));
	vma->vm_ops = r->flags & EMP_F_PINNABLE ? &r->vm_ops : &emp_vm_ops;
	return 0;
}
