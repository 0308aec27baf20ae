// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/fs/emp/NAME, its tiers/ID and its stats/. Every node is described in
 * docs/abi-emp.md; a test compares the two.
 *
 * The objects are embedded in region and tier; deleting a folder waits until
 * the last reference of it is gone.
 */
#include <linux/kobject.h>
#include <linux/memcontrol.h>
#include <linux/string_helpers.h>
#include <linux/sysfs.h>

#include "emp_copy.h"
#include "emp_pin.h"
#include "emp_reclaim.h"
#include "emp_region.h"
#include "emp_sysfs.h"
#include "emp_tier.h"

static struct kobject *emp_kobj;

struct emp_attr {
	struct attribute attr;
	ssize_t (*show)(struct emp_region *r, char *buf);
	ssize_t (*store)(struct emp_region *r, const char *buf, size_t len);
};

#define to_region(k)	container_of(k, struct emp_region, kobj)

static ssize_t emp_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct emp_attr *a = container_of(attr, struct emp_attr, attr);

	return a->show ? a->show(to_region(kobj), buf) : -EIO;
}

static ssize_t emp_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
			      size_t len)
{
	struct emp_attr *a = container_of(attr, struct emp_attr, attr);

	return a->store ? a->store(to_region(kobj), buf, len) : -EIO;
}

static const struct sysfs_ops emp_attr_ops = {
	.show	= emp_attr_show,
	.store	= emp_attr_store,
};

/* "16G", "4096": bytes, with an optional suffix, and nothing behind it. */
static int emp_parse_bytes(const char *buf, u64 *bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	char digits[24];
	size_t n = strspn(buf, "0123456789");
	u32 shift = 0;

	if (!n || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, buf, n);
	digits[n] = 0;
	if (kstrtou64(digits, 10, bytes))
		return -EINVAL;
	buf += n;
	unit = *buf && *buf != '\n' ? strchr(units, *buf >= 'a' ? *buf - 32 : *buf) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		buf++;
	}
	if (*buf == '\n')
		buf++;
	if (*buf || *bytes << shift >> shift != *bytes)
		return -EINVAL;
	*bytes <<= shift;
	return 0;
}

static const char * const emp_map_names[] = {
	[EMP_MAP_AUTO] = "auto", [EMP_MAP_SMALL] = "small", [EMP_MAP_HUGE] = "huge",
};

#define EMP_ATTR_RO(name, fmt, ...)						\
static ssize_t name##_show(struct emp_region *r, char *buf)			\
{										\
	return sysfs_emit(buf, fmt "\n", __VA_ARGS__);				\
}										\
static struct emp_attr emp_attr_##name = __ATTR(name, 0444, name##_show, NULL)

#define EMP_ATTR_RW(name)							\
static struct emp_attr emp_attr_##name = __ATTR(name, 0644, name##_show, name##_store)

EMP_ATTR_RO(bytes, "%llu", r->bytes);
EMP_ATTR_RO(dram_min, "%llu", (u64)r->limit_min << PAGE_SHIFT);
EMP_ATTR_RO(resident, "%llu", (u64)atomic_long_read(&r->resident) << PAGE_SHIFT);
EMP_ATTR_RO(block_size, "%lu", 1UL << r->block_shift);
EMP_ATTR_RO(subblock_size, "%lu", 1UL << r->sub_shift);
EMP_ATTR_RO(map, "%s", emp_map_names[r->map]);
EMP_ATTR_RO(owner, "%u:%u", from_kuid(&init_user_ns, r->uid), from_kgid(&init_user_ns, r->gid));
EMP_ATTR_RO(metadata_bytes, "%llu", emp_region_metadata(r));
EMP_ATTR_RO(dirty, "%llu", (u64)atomic_long_read(&r->dirty) << PAGE_SHIFT);
EMP_ATTR_RO(pinned, "%llu", (u64)emp_pin_count(r) << PAGE_SHIFT);
EMP_ATTR_RO(flags, "%s%s%s%s%s%s", r->flags & EMP_F_AUTODESTROY ? "autodestroy " : "",
	    r->flags & EMP_F_OVERCOMMIT ? "overcommit " : "",
	    r->flags & EMP_F_PINNABLE ? "pinnable " : "",
	    r->flags & EMP_F_CHECKSUM ? "checksum " : "", READ_ONCE(r->mac) ? "mac " : "",
	    r->flags & EMP_F_ENCRYPT ? "encrypt " : "");

static const char * const emp_redundancy_names[] = {
	[EMP_REDUNDANCY_NONE] = "none", [EMP_REDUNDANCY_MIRROR] = "mirror",
	[EMP_REDUNDANCY_MIRROR_SYNC] = "mirror-sync", [EMP_REDUNDANCY_REPLICA] = "replica",
};

EMP_ATTR_RO(redundancy, "%s", emp_redundancy_names[r->redundancy]);
EMP_ATTR_RO(exposed, "%llu", emp_copy_exposed(r));
EMP_ATTR_RO(rebuild_left, "%llu", emp_copy_rebuild_left(r));

static ssize_t rebuild_rate_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%llu\n", r->copies ? READ_ONCE(r->copies->rate) : 0);
}

static ssize_t rebuild_rate_store(struct emp_region *r, const char *buf, size_t len)
{
	u64 rate;
	int err = emp_parse_bytes(buf, &rate);

	err = err ?: emp_copy_set_rate(r, rate);
	return err ?: len;
}
EMP_ATTR_RW(rebuild_rate);

static ssize_t queues_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%u %u %u %u\n", emp_policy_len(&r->policy, EMP_Q_S),
			  emp_policy_len(&r->policy, EMP_Q_M), emp_policy_len(&r->policy, EMP_Q_SU),
			  emp_policy_len(&r->policy, EMP_Q_MU));
}
static struct emp_attr emp_attr_queues = __ATTR(queues, 0444, queues_show, NULL);

static ssize_t dram_limit_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%llu\n", (u64)READ_ONCE(r->limit) << PAGE_SHIFT);
}

static ssize_t dram_limit_store(struct emp_region *r, const char *buf, size_t len)
{
	u64 bytes;
	int err = emp_parse_bytes(buf, &bytes);

	err = err ?: emp_region_set_limit(r, bytes);
	return err ?: len;
}
EMP_ATTR_RW(dram_limit);

/* Watermarks: in bytes; low below high, both within half of the limit. */
static ssize_t emp_free_store(struct emp_region *r, const char *buf, size_t len, bool high)
{
	u64 bytes;
	long pages;
	int err = emp_parse_bytes(buf, &bytes);

	if (err)
		return err;
	pages = (bytes >> PAGE_SHIFT) + !!(bytes & (PAGE_SIZE - 1));
	mutex_lock(&r->conf_lock);
	if (!pages || pages > r->limit / 2 ||
	    (high ? pages <= r->low_free : pages >= r->high_free)) {
		err = -EINVAL;
	} else if (high) {
		r->high_wish = pages;
		WRITE_ONCE(r->high_free, pages);
	} else {
		r->low_wish = pages;
		WRITE_ONCE(r->low_free, pages);
	}
	if (!err)
		emp_pin_adjust(r);
	mutex_unlock(&r->conf_lock);
	emp_reclaim_kick(r);
	return err ?: len;
}

static ssize_t low_free_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(r->low_free) << PAGE_SHIFT);
}

static ssize_t low_free_store(struct emp_region *r, const char *buf, size_t len)
{
	return emp_free_store(r, buf, len, false);
}
EMP_ATTR_RW(low_free);

static ssize_t high_free_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(r->high_free) << PAGE_SHIFT);
}

static ssize_t high_free_store(struct emp_region *r, const char *buf, size_t len)
{
	return emp_free_store(r, buf, len, true);
}
EMP_ATTR_RW(high_free);

static ssize_t pin_limit_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%llu\n", (u64)READ_ONCE(r->pin_limit) << PAGE_SHIFT);
}

static ssize_t pin_limit_store(struct emp_region *r, const char *buf, size_t len)
{
	u64 bytes;
	int err = emp_parse_bytes(buf, &bytes);

	err = err ?: emp_pin_set_limit(r, bytes);
	return err ?: len;
}
EMP_ATTR_RW(pin_limit);

static ssize_t readahead_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(r->readahead));
}

static ssize_t readahead_store(struct emp_region *r, const char *buf, size_t len)
{
	u64 bytes;
	int err = emp_parse_bytes(buf, &bytes);

	if (err)
		return err;
	if (bytes > 16 << 20)
		return -EINVAL;
	WRITE_ONCE(r->readahead, bytes);
	return len;
}
EMP_ATTR_RW(readahead);

static ssize_t emp_store_u32(const char *buf, size_t len, u32 *to, u32 min, u32 max)
{
	u32 v;
	int err = kstrtou32(buf, 10, &v);

	if (err)
		return err;
	if (v < min || v > max)
		return -EINVAL;
	WRITE_ONCE(*to, v);
	return len;
}

static ssize_t lost_retry_ms_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(r->lost_retry_ms));
}

static ssize_t lost_retry_ms_store(struct emp_region *r, const char *buf, size_t len)
{
	return emp_store_u32(buf, len, &r->lost_retry_ms, 0, 3600000);
}
EMP_ATTR_RW(lost_retry_ms);

static ssize_t retain_ms_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(r->retain_ms));
}

static ssize_t retain_ms_store(struct emp_region *r, const char *buf, size_t len)
{
	return emp_store_u32(buf, len, &r->retain_ms, 0, 10000);
}
EMP_ATTR_RW(retain_ms);

static ssize_t promote_show(struct emp_region *r, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(r->promote));
}

static ssize_t promote_store(struct emp_region *r, const char *buf, size_t len)
{
	return emp_store_u32(buf, len, &r->promote, 0, 1);
}
EMP_ATTR_RW(promote);

static ssize_t evict_store(struct emp_region *r, const char *buf, size_t len)
{
	u64 bytes;
	int err = emp_parse_bytes(buf, &bytes);

	if (err)
		return err;
	emp_reclaim_all(r, DIV_ROUND_UP_ULL(min(bytes, r->bytes), PAGE_SIZE));
	return signal_pending(current) ? -EINTR : len;
}
static struct emp_attr emp_attr_evict = __ATTR(evict, 0200, NULL, evict_store);

static struct attribute *emp_region_attrs[] = {
	&emp_attr_bytes.attr, &emp_attr_dram_limit.attr, &emp_attr_dram_min.attr,
	&emp_attr_resident.attr, &emp_attr_block_size.attr, &emp_attr_subblock_size.attr,
	&emp_attr_map.attr, &emp_attr_flags.attr, &emp_attr_owner.attr,
	&emp_attr_high_free.attr, &emp_attr_low_free.attr, &emp_attr_readahead.attr,
	&emp_attr_lost_retry_ms.attr, &emp_attr_retain_ms.attr, &emp_attr_promote.attr,
	&emp_attr_metadata_bytes.attr, &emp_attr_dirty.attr,
	&emp_attr_pin_limit.attr, &emp_attr_pinned.attr,
	&emp_attr_redundancy.attr, &emp_attr_exposed.attr, &emp_attr_rebuild_left.attr,
	&emp_attr_rebuild_rate.attr, &emp_attr_queues.attr, &emp_attr_evict.attr, NULL,
};

static const struct attribute_group emp_region_group = { .attrs = emp_region_attrs };

/* stats/: one attribute a counter; its place in the array is its number. */
static ssize_t emp_counter_show(struct emp_region *r, enum emp_counter c, char *buf)
{
	return sysfs_emit(buf, "%llu\n", emp_stats_sum(r, c));
}

static ssize_t emp_hist_show(struct emp_region *r, enum emp_hist h, char *buf)
{
	ssize_t at = 0;
	u32 i;

	for (i = 0; i < EMP_HIST_BUCKETS; i++) {
		u64 n = emp_stats_hist(r, h, i);

		if (n)
			at += sysfs_emit_at(buf, at, "%llu %llu\n", 1ULL << i, n);
	}
	return at;
}

#define EMP_X(id)								\
static ssize_t stat_##id##_show(struct emp_region *r, char *buf);		\
static struct emp_attr emp_stat_##id = __ATTR(id, 0440, stat_##id##_show, NULL);	\
static ssize_t stat_##id##_show(struct emp_region *r, char *buf)		\
{										\
	return emp_counter_show(r, EMP_C_##id, buf);				\
}

EMP_COUNTERS(EMP_X)
#undef EMP_X

#define EMP_X(id)								\
static ssize_t stat_##id##_show(struct emp_region *r, char *buf);		\
static struct emp_attr emp_stat_##id = __ATTR(id, 0440, stat_##id##_show, NULL);	\
static ssize_t stat_##id##_show(struct emp_region *r, char *buf)		\
{										\
	return emp_hist_show(r, EMP_H_##id, buf);				\
}

EMP_HISTS(EMP_X)
#undef EMP_X

static struct attribute *emp_stat_attrs[] = {
#define EMP_X(id) &emp_stat_##id.attr,
	EMP_COUNTERS(EMP_X)
	EMP_HISTS(EMP_X)
#undef EMP_X
	NULL,
};

static const struct attribute_group emp_stat_group = {
	.name	= "stats",
	.attrs	= emp_stat_attrs,
};

static const struct attribute_group *emp_region_groups[] = {
	&emp_region_group, &emp_stat_group, NULL,
};

static void emp_region_kobj_release(struct kobject *kobj)
{
	complete(&to_region(kobj)->gone);
}

static const struct kobj_type emp_region_ktype = {
	.sysfs_ops	= &emp_attr_ops,
	.default_groups	= emp_region_groups,
	.release	= emp_region_kobj_release,
};

/* Tiers */

struct emp_tier_attr {
	struct attribute attr;
	ssize_t (*show)(struct emp_tier *t, char *buf);
	ssize_t (*store)(struct emp_tier *t, const char *buf, size_t len);
};

#define to_tier(k)	container_of(k, struct emp_tier, kobj)

static ssize_t emp_tier_attr_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	return container_of(attr, struct emp_tier_attr, attr)->show(to_tier(kobj), buf);
}

static ssize_t emp_tier_attr_store(struct kobject *kobj, struct attribute *attr, const char *buf,
				   size_t len)
{
	struct emp_tier_attr *a = container_of(attr, struct emp_tier_attr, attr);

	return a->store ? a->store(to_tier(kobj), buf, len) : -EIO;
}

static const struct sysfs_ops emp_tier_attr_ops = {
	.show	= emp_tier_attr_show,
	.store	= emp_tier_attr_store,
};

static const char * const emp_tier_states[] = {
	[EMP_TIER_OK] = "ok", [EMP_TIER_DEGRADED] = "degraded",
	[EMP_TIER_DRAINING] = "draining", [EMP_TIER_GONE] = "lost",
};

#define EMP_TIER_ATTR_RO(name, fmt, expr)					\
static ssize_t tier_##name##_show(struct emp_tier *t, char *buf)		\
{										\
	return sysfs_emit(buf, fmt "\n", expr);					\
}										\
static struct emp_tier_attr emp_tier_attr_##name =				\
	__ATTR(name, 0444, tier_##name##_show, NULL)

#define EMP_TIER_ATTR_COUNT(name, field) \
	EMP_TIER_ATTR_RO(name, "%llu", emp_tier_stat(t, offsetof(struct emp_tier_stats, field)))

EMP_TIER_ATTR_RO(type, "%s", t->ops->name);
EMP_TIER_ATTR_RO(device, "%s", t->device);
EMP_TIER_ATTR_RO(read_ns, "%u", READ_ONCE(t->read_ns));
EMP_TIER_ATTR_RO(base, "%llu", t->base);
static u64 emp_tier_unit_bytes(const struct emp_tier *t, u32 units)
{
	return (u64)units << (t->unit_shift + t->region->block_shift);
}

/* The last unit may be larger than what is used of it. */
static u64 emp_tier_bytes(const struct emp_tier *t)
{
	u64 gone = emp_tier_unit_bytes(t, READ_ONCE(t->given) + READ_ONCE(t->revoked));

	return t->bytes - min(gone, t->bytes);
}

EMP_TIER_ATTR_RO(bytes, "%llu", emp_tier_bytes(t));
EMP_TIER_ATTR_RO(asked, "%llu", emp_tier_unit_bytes(t, READ_ONCE(t->asked)));
EMP_TIER_ATTR_RO(leaving, "%llu", emp_tier_leaving(t) << t->region->block_shift);
EMP_TIER_ATTR_RO(given_back, "%llu", emp_tier_unit_bytes(t, READ_ONCE(t->given)));
EMP_TIER_ATTR_RO(revoked, "%llu", emp_tier_unit_bytes(t, READ_ONCE(t->revoked)));
EMP_TIER_ATTR_RO(parked, "%llu", emp_tier_unit_bytes(t, READ_ONCE(t->parked)));
EMP_TIER_ATTR_RO(fetched, "%llu", emp_tier_unit_bytes(t, READ_ONCE(t->fetched)));
EMP_TIER_ATTR_RO(used, "%llu", (u64)READ_ONCE(t->used) << t->region->block_shift);
EMP_TIER_ATTR_RO(state, "%s", emp_tier_states[READ_ONCE(t->state)]);
EMP_TIER_ATTR_RO(link, "%s", t->ops->link ? t->ops->link(t) : "-");
EMP_TIER_ATTR_RO(inflight, "%d", atomic_read(&t->inflight));
EMP_TIER_ATTR_COUNT(reads, ops[0]);
EMP_TIER_ATTR_COUNT(read_bytes, bytes[0]);
EMP_TIER_ATTR_COUNT(writes, ops[1]);
EMP_TIER_ATTR_COUNT(write_bytes, bytes[1]);
EMP_TIER_ATTR_COUNT(read_errors, errors[0]);
EMP_TIER_ATTR_COUNT(write_errors, errors[1]);
EMP_TIER_ATTR_COUNT(timeouts, timeouts);

static ssize_t emp_tier_hist_show(struct emp_tier *t, int write, char *buf)
{
	ssize_t at = 0;
	u32 i;

	for (i = 0; i < EMP_HIST_BUCKETS; i++) {
		u64 n = emp_tier_stat(t, offsetof(struct emp_tier_stats, hist) +
				      (write * EMP_HIST_BUCKETS + i) * sizeof(u64));

		if (n)
			at += sysfs_emit_at(buf, at, "%llu %llu\n", 1ULL << i, n);
	}
	return at;
}

static ssize_t read_latency_show(struct emp_tier *t, char *buf)
{
	return emp_tier_hist_show(t, 0, buf);
}
static struct emp_tier_attr emp_tier_attr_read_latency =
	__ATTR(read_latency, 0444, read_latency_show, NULL);

static ssize_t write_latency_show(struct emp_tier *t, char *buf)
{
	return emp_tier_hist_show(t, 1, buf);
}
static struct emp_tier_attr emp_tier_attr_write_latency =
	__ATTR(write_latency, 0444, write_latency_show, NULL);

static ssize_t deadline_ms_show(struct emp_tier *t, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(t->deadline_ms));
}

static ssize_t deadline_ms_store(struct emp_tier *t, const char *buf, size_t len)
{
	return emp_store_u32(buf, len, &t->deadline_ms, 1, 600000);
}
static struct emp_tier_attr emp_tier_attr_deadline_ms =
	__ATTR(deadline_ms, 0644, deadline_ms_show, deadline_ms_store);

static ssize_t queue_depth_show(struct emp_tier *t, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(t->queue_depth));
}

static ssize_t queue_depth_store(struct emp_tier *t, const char *buf, size_t len)
{
	return emp_store_u32(buf, len, &t->queue_depth, 1, 4096);
}
static struct emp_tier_attr emp_tier_attr_queue_depth =
	__ATTR(queue_depth, 0644, queue_depth_show, queue_depth_store);

static ssize_t connections_show(struct emp_tier *t, char *buf)
{
	return t->ops->connections ? t->ops->connections(t, buf) : sysfs_emit(buf, "-\n");
}
static struct emp_tier_attr emp_tier_attr_connections =
	__ATTR(connections, 0444, connections_show, NULL);

static struct attribute *emp_tier_attrs[] = {
	&emp_tier_attr_type.attr, &emp_tier_attr_device.attr, &emp_tier_attr_base.attr,
	&emp_tier_attr_bytes.attr, &emp_tier_attr_used.attr, &emp_tier_attr_state.attr,
	&emp_tier_attr_link.attr, &emp_tier_attr_connections.attr,
	&emp_tier_attr_asked.attr, &emp_tier_attr_leaving.attr,
	&emp_tier_attr_given_back.attr, &emp_tier_attr_revoked.attr,
	&emp_tier_attr_parked.attr, &emp_tier_attr_fetched.attr,
	&emp_tier_attr_read_ns.attr,
	&emp_tier_attr_deadline_ms.attr, &emp_tier_attr_queue_depth.attr,
	&emp_tier_attr_inflight.attr, &emp_tier_attr_reads.attr, &emp_tier_attr_read_bytes.attr,
	&emp_tier_attr_writes.attr, &emp_tier_attr_write_bytes.attr,
	&emp_tier_attr_read_errors.attr, &emp_tier_attr_write_errors.attr,
	&emp_tier_attr_timeouts.attr, &emp_tier_attr_read_latency.attr,
	&emp_tier_attr_write_latency.attr, NULL,
};
ATTRIBUTE_GROUPS(emp_tier);

static void emp_tier_kobj_release(struct kobject *kobj)
{
	complete(&to_tier(kobj)->kobj_gone);
}

static const struct kobj_type emp_tier_ktype = {
	.sysfs_ops	= &emp_tier_attr_ops,
	.default_groups	= emp_tier_groups,
	.release	= emp_tier_kobj_release,
};

/** emp_sysfs_tier_add - make tiers/ID; the tier's id is set */
int emp_sysfs_tier_add(struct emp_region *r, struct emp_tier *t)
{
	int err = kobject_init_and_add(&t->kobj, &emp_tier_ktype, r->tiers_kobj, "%u", t->id);

	if (err) {
		kobject_put(&t->kobj);
		wait_for_completion(&t->kobj_gone);
	}
	return err;
}

void emp_sysfs_tier_del(struct emp_tier *t)
{
	kobject_del(&t->kobj);
	kobject_put(&t->kobj);
	wait_for_completion(&t->kobj_gone);
}

/** emp_sysfs_region_add - make the region's folder */
int emp_sysfs_region_add(struct emp_region *r)
{
	int err = kobject_init_and_add(&r->kobj, &emp_region_ktype, emp_kobj, "%s", r->name);

	if (err)
		goto put;
	r->tiers_kobj = kobject_create_and_add("tiers", &r->kobj);
	if (r->tiers_kobj)
		return 0;
	err = -ENOMEM;
	kobject_del(&r->kobj);
put:
	kobject_put(&r->kobj);
	wait_for_completion(&r->gone);
	return err;
}

/** emp_sysfs_region_del - waits for those who are reading; tiers' folders are gone */
void emp_sysfs_region_del(struct emp_region *r)
{
	kobject_del(r->tiers_kobj);
	kobject_put(r->tiers_kobj);
	kobject_del(&r->kobj);
	kobject_put(&r->kobj);
	wait_for_completion(&r->gone);
}

int emp_sysfs_init(void)
{
	emp_kobj = kobject_create_and_add("emp", fs_kobj);
	return emp_kobj ? 0 : -ENOMEM;
}

void emp_sysfs_exit(void)
{
	kobject_put(emp_kobj);
}
