// SPDX-License-Identifier: GPL-2.0-only
/* /sys/class/pim/rankN; see docs/abi-pim.md. */
#include <linux/pid.h>
#include <linux/sysfs.h>

#include "pim_grant.h"
#include "pim_lease.h"
#include "pim_mram.h"
#include "pim_rank.h"
#include "pim_session.h"

static const char *const pim_state_names[] = {
	[PIM_STATE_FREE]	= "free",
	[PIM_STATE_LEASED]	= "leased",
	[PIM_STATE_DRAINING]	= "draining",
	[PIM_STATE_SCRUBBING]	= "scrubbing",
	[PIM_STATE_FAULTY]	= "faulty",
	[PIM_STATE_SAVING]	= "saving",
	[PIM_STATE_RESTORING]	= "restoring",
};

/* An attribute that shows one value, looked at under pim_lock. */
#define PIM_ATTR_SHOW(_name, _format, ...)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr, char *buf) \
{											\
	struct pim_rank *rank = dev_to_pim_rank(dev);					\
	ssize_t n;									\
											\
	mutex_lock(&pim_lock);								\
	n = sysfs_emit(buf, _format "\n", __VA_ARGS__);					\
	mutex_unlock(&pim_lock);							\
	return n;									\
}											\
static DEVICE_ATTR_RO(_name)

PIM_ATTR_SHOW(state, "%s", pim_state_names[rank->state]);
PIM_ATTR_SHOW(nr_cis, "%u", rank->nr_cis);
PIM_ATTR_SHOW(nr_dpus_per_ci, "%u", rank->nr_dpus_per_ci);
PIM_ATTR_SHOW(mram_size, "%llu", rank->mram_size);
PIM_ATTR_SHOW(mram_used, "%llu", rank->session ? pim_mram_used(rank->session->mram) : 0);
PIM_ATTR_SHOW(deadline_ms, "%u", rank->info.deadline_ms);
PIM_ATTR_SHOW(provider, "%s", rank->session ? rank->info.provider : "");
PIM_ATTR_SHOW(provider_pid, "%d", rank->session ? pid_vnr(rank->session->pid) : 0);
PIM_ATTR_SHOW(lease, "%llu", rank->lease ? rank->lease->number : 0);
PIM_ATTR_SHOW(local, "%d", (int)rank->local);
PIM_ATTR_SHOW(kept, "%d", rank->state == PIM_STATE_FREE && rank->kept.owner);

/* "uid pid name", or an empty line. */
static ssize_t owner_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct pim_rank *rank = dev_to_pim_rank(dev);
	const struct pim_lease *lease;
	ssize_t n;

	mutex_lock(&pim_lock);
	lease = rank->lease;
	n = lease ? sysfs_emit(buf, "%u %d %s\n", lease->owner->uid, lease->pid, lease->comm) :
		    sysfs_emit(buf, "\n");
	mutex_unlock(&pim_lock);
	return n;
}
static DEVICE_ATTR_RO(owner);

static ssize_t offline_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(dev_to_pim_rank(dev)->offline));
}

static ssize_t offline_store(struct device *dev, struct device_attribute *attr, const char *buf,
			     size_t count)
{
	struct pim_rank *rank = dev_to_pim_rank(dev);
	bool offline;
	int err = kstrtobool(buf, &offline);

	if (err)
		return err;
	mutex_lock(&pim_lock);
	rank->offline = offline;
	pim_lease_grant_locked();
	mutex_unlock(&pim_lock);
	return count;
}
static DEVICE_ATTR_RW(offline);

static struct attribute *pim_rank_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_nr_cis.attr,
	&dev_attr_nr_dpus_per_ci.attr,
	&dev_attr_mram_size.attr,
	&dev_attr_mram_used.attr,
	&dev_attr_deadline_ms.attr,
	&dev_attr_provider.attr,
	&dev_attr_provider_pid.attr,
	&dev_attr_lease.attr,
	&dev_attr_local.attr,
	&dev_attr_kept.attr,
	&dev_attr_owner.attr,
	&dev_attr_offline.attr,
	NULL
};

static const struct attribute_group pim_rank_group = {
	.attrs = pim_rank_attrs,
};

/* A counter. */
#define PIM_STAT_SHOW(_name, _value) PIM_ATTR_SHOW(_name, "%lld", _value)

PIM_STAT_SHOW(busy_ns, atomic64_read(&rank->busy_ns));
PIM_STAT_SHOW(commands, atomic64_read(&rank->commands));
PIM_STAT_SHOW(bytes_in, atomic64_read(&rank->bytes_in));
PIM_STAT_SHOW(bytes_out, atomic64_read(&rank->bytes_out));
PIM_STAT_SHOW(leases, atomic64_read(&rank->leases));
PIM_STAT_SHOW(returns, atomic64_read(&rank->returns));
PIM_STAT_SHOW(scrubs, atomic64_read(&rank->scrubs));
PIM_STAT_SHOW(saves, atomic64_read(&rank->saves));
PIM_STAT_SHOW(saves_busy, atomic64_read(&rank->saves_busy));
PIM_STAT_SHOW(save_ns, atomic64_read(&rank->save_ns));
PIM_STAT_SHOW(restores, atomic64_read(&rank->restores));
PIM_STAT_SHOW(restore_ns, atomic64_read(&rank->restore_ns));
PIM_STAT_SHOW(restore_errors, atomic64_read(&rank->restore_errors));
PIM_STAT_SHOW(provider_errors, atomic64_read(&rank->provider_errors));
PIM_STAT_SHOW(provider_timeouts, atomic64_read(&rank->provider_timeouts));
PIM_STAT_SHOW(provider_broken, atomic64_read(&rank->provider_broken));
PIM_STAT_SHOW(provider_deaths, atomic64_read(&rank->provider_deaths));

static struct attribute *pim_rank_stats[] = {
	&dev_attr_busy_ns.attr,
	&dev_attr_commands.attr,
	&dev_attr_bytes_in.attr,
	&dev_attr_bytes_out.attr,
	&dev_attr_leases.attr,
	&dev_attr_returns.attr,
	&dev_attr_scrubs.attr,
	&dev_attr_saves.attr,
	&dev_attr_saves_busy.attr,
	&dev_attr_save_ns.attr,
	&dev_attr_restores.attr,
	&dev_attr_restore_ns.attr,
	&dev_attr_restore_errors.attr,
	&dev_attr_provider_errors.attr,
	&dev_attr_provider_timeouts.attr,
	&dev_attr_provider_broken.attr,
	&dev_attr_provider_deaths.attr,
	NULL
};

static const struct attribute_group pim_rank_stats_group = {
	.name	= "stats",
	.attrs	= pim_rank_stats,
};

const struct attribute_group *pim_rank_groups[] = {
	&pim_rank_group,
	&pim_rank_stats_group,
	NULL
};
