// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/class/dpu_rank/dpu_rankN: names and formats are those that programs
 * read; see docs/abi-pim.md.
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/sysfs.h>

#include "dpu.h"
#include "pim_compat.h"

/* An attribute that shows one number or text of the rank. */
#define DPU_ATTR_SHOW(_name, _format, _value)						\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr, char *buf) \
{											\
	const struct dpu_rank *rank __maybe_unused = dev_to_dpu_rank(dev);		\
											\
	return sysfs_emit(buf, _format "\n", _value);					\
}											\
static DEVICE_ATTR_RO(_name)

DPU_ATTR_SHOW(dpu_chip_id, "%u", rank->info.chip_id);
DPU_ATTR_SHOW(nb_ci, "%u", rank->info.nr_cis);
DPU_ATTR_SHOW(nb_dpus_per_ci, "%u", rank->info.nr_dpus_per_ci);
DPU_ATTR_SHOW(mram_size, "%u", rank->info.mram_size);
DPU_ATTR_SHOW(capabilities, "%#llx", (unsigned long long)DPU_CAP_SAFE);
DPU_ATTR_SHOW(fck_frequency, "%u", rank->info.fck_mhz);
DPU_ATTR_SHOW(clock_division, "%u", rank->info.clock_division);
DPU_ATTR_SHOW(rank_id, "%d", rank->id);
DPU_ATTR_SHOW(channel_id, "%u", rank->info.channel_id);
DPU_ATTR_SHOW(backend_id, "%u", 0);
DPU_ATTR_SHOW(rank_index, "%u", rank->info.rank_index);
DPU_ATTR_SHOW(rank_count, "%u", rank->info.rank_count);
DPU_ATTR_SHOW(ci_mask, "%u", rank->info.ci_mask);
DPU_ATTR_SHOW(is_owned, "%d", READ_ONCE(rank->owned));
DPU_ATTR_SHOW(usage_count, "%u", READ_ONCE(rank->usage));
DPU_ATTR_SHOW(mcu_version, "%s", rank->info.mcu_version);
DPU_ATTR_SHOW(part_number, "%s", rank->info.part_number);
DPU_ATTR_SHOW(serial_number, "%s", rank->info.serial_number);

static ssize_t byte_order_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct dpu_rank *rank = dev_to_dpu_rank(dev);
	int n = 0;
	u32 ci;

	for (ci = 0; ci < DPU_MAX_CIS; ci++)
		n += sysfs_emit_at(buf, n, "0x%016llx ", rank->info.byte_order[ci]);
	return n + sysfs_emit_at(buf, n, "\n");
}
static DEVICE_ATTR_RO(byte_order);

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", DPU_MODE_SAFE);
}

static ssize_t mode_store(struct device *dev, struct device_attribute *attr, const char *buf,
			  size_t count)
{
	int mode, err = kstrtoint(buf, 0, &mode);

	if (err)
		return err;
	return mode == DPU_MODE_SAFE ? count : -EINVAL;
}
static DEVICE_ATTR_RW(mode);

static ssize_t debug_mode_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	const struct dpu_rank *rank = dev_to_dpu_rank(dev);

	return sysfs_emit(buf, "%u\n", READ_ONCE(rank->debug_mode));
}

static ssize_t debug_mode_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct dpu_rank *rank = dev_to_dpu_rank(dev);
	u8 value;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = kstrtou8(buf, 0, &value);
	if (err)
		return err;
	mutex_lock(&rank->lock);
	rank->debug_mode = value;
	mutex_unlock(&rank->lock);
	return count;
}
static DEVICE_ATTR_RW(debug_mode);

/* There is no LED. */
static ssize_t signal_led_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t count)
{
	u8 value;
	int err = kstrtou8(buf, 0, &value);

	return err ?: -EOPNOTSUPP;
}
static DEVICE_ATTR_WO(signal_led);

static ssize_t dimm_vpd_read(struct file *file, struct kobject *kobj, ANNEX_BIN_ATTR_ARG,
			     char *buf, loff_t offset, size_t count)
{
	const struct dpu_rank *rank = dev_to_dpu_rank(kobj_to_dev(kobj));

	return memory_read_from_buffer(buf, count, &offset, rank->vpd, rank->info.vpd_bytes);
}

/* Size 0: read() asks until there is no more. */
static ANNEX_BIN_ATTR bin_attr_dimm_vpd = __BIN_ATTR_RO(dimm_vpd, 0);

static struct attribute *dpu_rank_attrs[] = {
	&dev_attr_dpu_chip_id.attr,
	&dev_attr_nb_ci.attr,
	&dev_attr_nb_dpus_per_ci.attr,
	&dev_attr_mram_size.attr,
	&dev_attr_capabilities.attr,
	&dev_attr_fck_frequency.attr,
	&dev_attr_clock_division.attr,
	&dev_attr_rank_id.attr,
	&dev_attr_channel_id.attr,
	&dev_attr_backend_id.attr,
	&dev_attr_byte_order.attr,
	&dev_attr_rank_index.attr,
	&dev_attr_rank_count.attr,
	&dev_attr_ci_mask.attr,
	&dev_attr_is_owned.attr,
	&dev_attr_usage_count.attr,
	&dev_attr_mcu_version.attr,
	&dev_attr_part_number.attr,
	&dev_attr_serial_number.attr,
	&dev_attr_mode.attr,
	&dev_attr_debug_mode.attr,
	&dev_attr_signal_led.attr,
	NULL
};

static ANNEX_BIN_ATTR *dpu_rank_bin_attrs[] = {
	&bin_attr_dimm_vpd,
	NULL
};

/* The interface 6.4 has no ci_mask. */
static umode_t dpu_rank_attr_visible(struct kobject *kobj, struct attribute *attr, int n)
{
	return attr == &dev_attr_ci_mask.attr && !dpu_abi_has_slices() ? 0 : attr->mode;
}

static const struct attribute_group dpu_rank_group = {
	.attrs		= dpu_rank_attrs,
	.bin_attrs	= dpu_rank_bin_attrs,
	.is_visible	= dpu_rank_attr_visible,
};

/* A counter. */
#define DPU_STAT_SHOW(_name, _value) DPU_ATTR_SHOW(_name, "%llu", _value)

DPU_STAT_SHOW(commits, READ_ONCE(rank->commits));
DPU_STAT_SHOW(updates, READ_ONCE(rank->updates));
DPU_STAT_SHOW(updates_cached, READ_ONCE(rank->updates_cached));
DPU_STAT_SHOW(commits_predicted, READ_ONCE(rank->predict.predicted));
DPU_STAT_SHOW(batches, READ_ONCE(rank->predict.batches));
DPU_STAT_SHOW(mispredicted, READ_ONCE(rank->predict.mispredicted));
DPU_STAT_SHOW(writes_merged, READ_ONCE(rank->small.s.merged));
DPU_STAT_SHOW(reads_prefetched, READ_ONCE(rank->small.s.hits));
DPU_STAT_SHOW(bytes_prefetched, READ_ONCE(rank->small.s.ahead_bytes));

static struct attribute *dpu_rank_stats[] = {
	&dev_attr_commits.attr,
	&dev_attr_updates.attr,
	&dev_attr_updates_cached.attr,
	&dev_attr_commits_predicted.attr,
	&dev_attr_batches.attr,
	&dev_attr_mispredicted.attr,
	&dev_attr_writes_merged.attr,
	&dev_attr_reads_prefetched.attr,
	&dev_attr_bytes_prefetched.attr,
	NULL
};

static const struct attribute_group dpu_rank_stats_group = {
	.name	= "stats",
	.attrs	= dpu_rank_stats,
};

const struct attribute_group *dpu_rank_groups[] = {
	&dpu_rank_group,
	&dpu_rank_stats_group,
	NULL
};
