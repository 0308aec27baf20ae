// SPDX-License-Identifier: GPL-2.0-only
/* /sys/bus/mdev/devices/UUID; see docs/abi-pim.md. */
#include <linux/ctype.h>
#include <linux/sysfs.h>

#include "pim_mdev.h"

static struct pim_vm *pim_vm_of(struct device *dev)
{
	return dev_get_drvdata(dev);
}

static ssize_t name_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	ssize_t n;

	mutex_lock(&pim_vms_lock);
	n = sysfs_emit(buf, "%s\n", pim_vm_of(dev)->name);
	mutex_unlock(&pim_vms_lock);
	return n;
}

static bool pim_vm_name_good(const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!isalnum(name[i]) && !strchr("._-", name[i]))
			return false;
	}
	return n && n < PIM_NAME_LEN;
}

static ssize_t name_store(struct device *dev, struct device_attribute *attr, const char *buf,
			  size_t count)
{
	size_t n = count && buf[count - 1] == '\n' ? count - 1 : count;
	struct pim_vm *vm = pim_vm_of(dev), *other;
	ssize_t ret = count;

	if (!pim_vm_name_good(buf, n))
		return -EINVAL;
	mutex_lock(&pim_vms_lock);
	list_for_each_entry(other, &pim_vms, list) {
		if (other != vm && strlen(other->name) == n && !memcmp(other->name, buf, n))
			ret = -EEXIST;
	}
	mutex_lock(&vm->core.lock);
	if (vm->core.opened)
		ret = -EBUSY;	/* it is that of leases */
	if (ret > 0) {
		memcpy(vm->name, buf, n);
		vm->name[n] = '\0';
	}
	mutex_unlock(&vm->core.lock);
	mutex_unlock(&pim_vms_lock);
	return ret;
}
static DEVICE_ATTR_RW(name);

static ssize_t ranks_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(pim_vm_of(dev)->nr_ranks));
}

static ssize_t ranks_store(struct device *dev, struct device_attribute *attr, const char *buf,
			   size_t count)
{
	struct pim_vm *vm = pim_vm_of(dev);
	u32 ranks;
	int err = kstrtou32(buf, 0, &ranks);

	if (err)
		return err;
	if (!ranks || ranks > VIRTIO_PIM_RANKS_MAX)
		return -EINVAL;
	mutex_lock(&vm->core.lock);
	if (vm->core.opened)
		err = -EBUSY;
	else
		WRITE_ONCE(vm->nr_ranks, ranks);
	mutex_unlock(&vm->core.lock);
	return err ?: count;
}
static DEVICE_ATTR_RW(ranks);

static ssize_t pin_mib_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(pim_vm_of(dev)->pin_mib));
}

static ssize_t pin_mib_store(struct device *dev, struct device_attribute *attr, const char *buf,
			     size_t count)
{
	struct pim_vm *vm = pim_vm_of(dev);
	u32 mib;
	int err = kstrtou32(buf, 0, &mib);

	if (err)
		return err;
	if (mib > PIM_MDEV_PIN_MIB_MAX)
		return -EINVAL;
	mutex_lock(&vm->core.lock);
	WRITE_ONCE(vm->pin_mib, mib);
	vpci_pin_set_limit(&vm->core.pins, pim_vm_pin_pages(mib));
	mutex_unlock(&vm->core.lock);
	return count;
}
static DEVICE_ATTR_RW(pin_mib);

static ssize_t opened_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(pim_vm_of(dev)->core.opened));
}
static DEVICE_ATTR_RO(opened);

/* It can be parked, or on another rank than before. */
static u32 pim_vm_slot_rank(struct pim_vm_slot *slot)
{
	u32 id = READ_ONCE(slot->rank);

	if (down_read_trylock(&slot->sem)) {
		id = slot->lease ? pim_lease_rank(slot->lease) : PIM_ID_ANY;
		up_read(&slot->sem);
	}
	return id;
}

static ssize_t leases_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct pim_vm *vm = pim_vm_of(dev);
	ssize_t n = 0;
	u32 i, rank;

	mutex_lock(&vm->core.lock);
	for (i = 0; i < vm->nr_ranks && vm->slots; i++) {
		rank = pim_vm_slot_rank(&vm->slots[i]);
		if (rank == PIM_ID_ANY)
			n += sysfs_emit_at(buf, n, "%s-", n ? " " : "");
		else
			n += sysfs_emit_at(buf, n, "%s%u", n ? " " : "", rank);
	}
	mutex_unlock(&vm->core.lock);
	return n + sysfs_emit_at(buf, n, "\n");
}
static DEVICE_ATTR_RO(leases);

static struct attribute *pim_vm_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_ranks.attr,
	&dev_attr_pin_mib.attr,
	&dev_attr_opened.attr,
	&dev_attr_leases.attr,
	NULL
};

static const struct attribute_group pim_vm_group = {
	.attrs = pim_vm_attrs,
};

/* A counter. */
#define PIM_VM_STAT(_name, _value)							\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr, char *buf) \
{											\
	const struct pim_vm *vm = pim_vm_of(dev);					\
											\
	return sysfs_emit(buf, "%lld\n", _value);					\
}											\
static DEVICE_ATTR_RO(_name)

PIM_VM_STAT(kicks, atomic64_read(&vm->core.kicks));
PIM_VM_STAT(kicks_trapped, atomic64_read(&vm->core.kicks_trapped));
PIM_VM_STAT(faults, atomic64_read(&vm->core.faults));
PIM_VM_STAT(polls, atomic64_read(&vm->core.polls));
PIM_VM_STAT(polls_empty, atomic64_read(&vm->core.polls_empty));
PIM_VM_STAT(requests, atomic64_read(&vm->core.requests));
PIM_VM_STAT(interrupts, atomic64_read(&vm->core.interrupts));
PIM_VM_STAT(broken, atomic64_read(&vm->core.broken));
PIM_VM_STAT(pinned, READ_ONCE(vm->core.pins.pinned) << PAGE_SHIFT);
PIM_VM_STAT(pin_hits, atomic64_read(&vm->core.pins.hits));
PIM_VM_STAT(pin_evicted, atomic64_read(&vm->core.pins.evicted));
PIM_VM_STAT(pin_refused, atomic64_read(&vm->core.pins.refused));
PIM_VM_STAT(pin_unmaps, atomic64_read(&vm->core.pins.unmaps));
PIM_VM_STAT(opens, atomic64_read(&vm->opens));
PIM_VM_STAT(commits, atomic64_read(&vm->commits));
PIM_VM_STAT(updates, atomic64_read(&vm->updates));
PIM_VM_STAT(transfers, atomic64_read(&vm->transfers));
PIM_VM_STAT(bytes_in, atomic64_read(&vm->bytes_in));
PIM_VM_STAT(bytes_out, atomic64_read(&vm->bytes_out));
PIM_VM_STAT(errors, atomic64_read(&vm->errors));

static struct attribute *pim_vm_stats[] = {
	&dev_attr_kicks.attr,
	&dev_attr_kicks_trapped.attr,
	&dev_attr_faults.attr,
	&dev_attr_polls.attr,
	&dev_attr_polls_empty.attr,
	&dev_attr_requests.attr,
	&dev_attr_interrupts.attr,
	&dev_attr_broken.attr,
	&dev_attr_pinned.attr,
	&dev_attr_pin_hits.attr,
	&dev_attr_pin_evicted.attr,
	&dev_attr_pin_refused.attr,
	&dev_attr_pin_unmaps.attr,
	&dev_attr_opens.attr,
	&dev_attr_commits.attr,
	&dev_attr_updates.attr,
	&dev_attr_transfers.attr,
	&dev_attr_bytes_in.attr,
	&dev_attr_bytes_out.attr,
	&dev_attr_errors.attr,
	NULL
};

static const struct attribute_group pim_vm_stats_group = {
	.name	= "stats",
	.attrs	= pim_vm_stats,
};

const struct attribute_group *pim_vm_groups[] = {
	&pim_vm_group,
	&pim_vm_stats_group,
	NULL
};
