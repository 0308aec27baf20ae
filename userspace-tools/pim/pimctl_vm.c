// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl vm and qemu-args: mediated virtio-pim devices, one a virtual machine.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <annex/virtio_pim.h>

#include "../lib/ax_size.h"
#include "pimctl.h"

#define TYPE	"class/mdev_bus/pim/mdev_supported_types/pim_mdev-ranks"
#define UUID	PIMCTL_UUID

const char *const pimctl_vm_counters[PIMCTL_VM_COUNTERS] = {
	"kicks", "requests", "interrupts", "broken", "opens", "commits", "updates", "transfers",
	"bytes_in", "bytes_out", "errors", "kicks_trapped", "faults", "polls", "polls_empty"
};

/* sysfs, or $PIM_SYS. */
static const char *root(void)
{
	return getenv("PIM_SYS") ?: "/sys";
}

static bool read_text(char *out, size_t size, const char *uuid, const char *name)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%.3000s/bus/mdev/devices/%s/%s", root(), uuid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, size - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

/* 0 or an errno. */
static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

static int write_attr(const char *uuid, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.3000s/bus/mdev/devices/%s/%s", root(), uuid, name);
	return write_text(path, text);
}

/* False: it is a mediated device of another kind, or gone. */
static bool look(const char *uuid, struct pimctl_vm *vm)
{
	char text[32], path[PATH_MAX], link[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "%.3000s/bus/mdev/devices/%s/mdev_type", root(), uuid);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return false;
	link[n] = '\0';
	if (!strrchr(link, '/') || strcmp(strrchr(link, '/'), "/pim_mdev-ranks"))
		return false;
	snprintf(vm->uuid, sizeof(vm->uuid), "%s", uuid);
	if (!read_text(vm->name, sizeof(vm->name), uuid, "name") ||
	    !read_text(vm->leases, sizeof(vm->leases), uuid, "leases") ||
	    !read_text(text, sizeof(text), uuid, "ranks"))
		return false;
	vm->ranks = strtoul(text, NULL, 10);
	vm->opened = read_text(text, sizeof(text), uuid, "opened") && text[0] == '1';
	for (int i = 0; i < PIMCTL_VM_COUNTERS; i++) {
		snprintf(path, sizeof(path), "stats/%s", pimctl_vm_counters[i]);
		vm->has[i] = read_text(text, sizeof(text), uuid, path);
		vm->counters[i] = vm->has[i] ? strtoull(text, NULL, 10) : 0;
	}
	return true;
}

int pimctl_each_vm(bool (*see)(const struct pimctl_vm *vm, void *arg), void *arg)
{
	char path[PATH_MAX];
	struct dirent *e;
	struct pimctl_vm vm;
	int nr = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%.3000s/bus/mdev/devices", root());
	dir = opendir(path);
	if (!dir)
		return -1;
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) >= UUID || !look(e->d_name, &vm))
			continue;
		nr++;
		if (see(&vm, arg))
			break;
	}
	closedir(dir);
	return nr;
}

/* The same, after a message if that is -1. */
static int each_vm(bool (*see)(const struct pimctl_vm *vm, void *arg), void *arg)
{
	char path[PATH_MAX];
	int nr;

	snprintf(path, sizeof(path), "%.3000s/" TYPE, root());
	if (access(path, F_OK)) {
		ax_error("there are no devices for virtual machines (modprobe pim_mdev)");
		return -1;
	}
	nr = pimctl_each_vm(see, arg);
	if (nr < 0)
		ax_error("%s/bus/mdev/devices: %s", root(), strerror(errno));
	return nr;
}

struct search {
	const char *name;
	struct pimctl_vm vm;
	bool found;
};

static bool is_it(const struct pimctl_vm *vm, void *arg)
{
	struct search *s = arg;

	s->found = !strcmp(vm->name, s->name) || !strcmp(vm->uuid, s->name);
	if (s->found)
		s->vm = *vm;
	return s->found;
}

static bool find(const char *name, struct search *s)
{
	*s = (struct search) { .name = name };
	if (each_vm(is_it, s) < 0)
		return false;
	if (!s->found)
		ax_error("no machine '%s' (see pimctl vm list)", name);
	return s->found;
}

static void print_args(const char *uuid)
{
	printf("-device vfio-pci,sysfsdev=/sys/bus/mdev/devices/%s\n", uuid);
}

/* A random one, as the kernel makes it. */
static bool new_uuid(char *uuid)
{
	FILE *f = fopen("/proc/sys/kernel/random/uuid", "re");
	bool ok = f && fgets(uuid, UUID, f);

	if (f)
		fclose(f);
	if (ok)
		uuid[strcspn(uuid, "\n")] = '\0';
	return ok;
}

int pimctl_vm_add(const struct ax_args *args)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	const char *name = args->argv[0];
	char path[PATH_MAX], uuid[UUID], number[24];
	struct search s = { .name = name };
	uint64_t ranks;
	int err;

	if (!ax_number(args, "ranks", 1, VIRTIO_PIM_RANKS_MAX, 1, &ranks))
		return AX_USAGE;
	if (!name[0] || strlen(name) >= PIM_NAME_LEN ||
	    name[strspn(name, letters)])
		return ax_usage("'%s' is not a name: up to 31 letters, digits, '.', '_', '-'",
				name);
	if (each_vm(is_it, &s) < 0)
		return AX_FAIL;
	if (s.found)
		return ax_error("there is a machine '%s' already", name);
	if (!new_uuid(uuid))
		return ax_error("no random numbers: is /proc mounted?");
	snprintf(path, sizeof(path), "%.3000s/" TYPE "/create", root());
	err = write_text(path, uuid);
	if (err)
		return ax_error("cannot make a device: %s%s", strerror(err),
				err == EACCES ? " (be root)" : "");
	snprintf(number, sizeof(number), "%llu", (unsigned long long)ranks);
	err = write_attr(uuid, "ranks", number);
	if (!err)
		err = write_attr(uuid, "name", name);
	if (err) {
		write_attr(uuid, "remove", "1");
		return err == EEXIST ? ax_error("there is a machine '%s' already", name) :
			ax_error("cannot set up the device: %s", strerror(err));
	}
	if (ax_has(args, "json"))
		return pimctl_print_json(json_pack("{s:s, s:s, s:I}", "name", name, "uuid", uuid,
						   "ranks", (json_int_t)ranks));
	print_args(uuid);
	return AX_OK;
}

int pimctl_vm_remove(const struct ax_args *args)
{
	struct search s;
	int err;

	if (!find(args->argv[0], &s))
		return AX_FAIL;
	if (s.vm.opened && !ax_has(args, "force"))
		return ax_error("'%s' is in use: end its VMM, or --force asks that to let it go",
				s.vm.name);
	err = write_attr(s.vm.uuid, "remove", "1");
	if (err)
		return ax_error("cannot remove '%s': %s%s", s.vm.name, strerror(err),
				err == EACCES ? " (be root)" : "");
	return AX_OK;
}

static bool print_vm(const struct pimctl_vm *vm, void *arg)
{
	json_t *array = arg, *o;

	if (!array) {
		printf("%-31s %5lu %-5s %-12s %s\n", vm->name, vm->ranks, vm->opened ? "yes" : "no",
		       vm->opened ? vm->leases : "", vm->uuid);
		return false;
	}
	o = json_pack("{s:s, s:s, s:I, s:b, s:s}", "name", vm->name, "uuid", vm->uuid,
		      "ranks", (json_int_t)vm->ranks, "opened", vm->opened, "leases", vm->leases);
	for (int i = 0; o && i < PIMCTL_VM_COUNTERS; i++) {
		if (vm->has[i])
			json_object_set_new(o, pimctl_vm_counters[i],
					    json_integer((json_int_t)vm->counters[i]));
	}
	json_array_append_new(array, o);
	return false;
}

int pimctl_vm_list(const struct ax_args *args)
{
	json_t *array = ax_has(args, "json") ? json_array() : NULL;

	if (!array)
		printf("%-31s %5s %-5s %-12s %s\n", "NAME", "RANKS", "RUNS", "LEASES", "UUID");
	if (each_vm(print_vm, array) < 0)
		return AX_FAIL;
	return array ? pimctl_print_json(array) : AX_OK;
}

void pimctl_vms_json(json_t *all)
{
	json_t *array = json_array();

	pimctl_each_vm(print_vm, array);	/* there may be no machines here */
	json_object_set_new(all, "machines", array);
}

int pimctl_qemu_args(const struct ax_args *args)
{
	struct search s;

	if (!find(args->argv[0], &s))
		return AX_FAIL;
	print_args(s.vm.uuid);
	return AX_OK;
}
