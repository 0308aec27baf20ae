// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * empctl doctor: what is missing on this machine, and how to mend it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <annex/emp.h>

#include "emp_client.h"
#include "emp_donor.h"
#include "emp_sysfs.h"
#include "empctl.h"

enum verdict { GOOD, HINT, BAD };	/* BAD: nothing works without it */

struct report {
	bool json;
	json_t *rows;
	unsigned int bad, hints;
};

static void row(struct report *r, const char *what, enum verdict v, const char *found,
		const char *fix)
{
	static const char *const words[] = { "ok", "hint", "MISSING" };

	r->bad += v == BAD;
	r->hints += v == HINT;
	if (r->json) {
		json_array_append_new(r->rows, json_pack("{s:s, s:s, s:s, s:s}", "check", what,
							 "verdict", words[v], "found", found,
							 "fix", v == GOOD ? "" : fix));
		return;
	}
	printf("%-8s %-15s %s\n", words[v], what, found);
	if (v != GOOD)
		printf("%-8s %-15s fix: %s\n", "", "", fix);
}

static bool read_line(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(out, size, f);

	if (f)
		fclose(f);
	if (ok)
		out[strcspn(out, "\n")] = '\0';
	return ok;
}

static void kernel(struct report *r)
{
	unsigned int major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	if (sscanf(u.release, "%u.%u", &major, &minor) != 2)
		major = 0;	/* judged as too old, and shown */
	if (strcmp(u.machine, "x86_64"))
		row(r, "machine", BAD, u.machine, "only x86_64 is supported");
	row(r, "kernel", major > 6 || (major == 6 && minor >= 1) ? GOOD : BAD, u.release,
	    "run kernel 6.1 or later (6.12 is the one most tested)");
}

/* Whether an unsigned module can be loaded at all. */
static bool lockdown(char *found, size_t size)
{
	char text[128] = "", secure[8] = "";
	int fd;

	if (read_line("/sys/kernel/security/lockdown", text, sizeof(text)) &&
	    !strstr(text, "[none]")) {
		snprintf(found, size, "lockdown: %s", text);
		return true;
	}
	fd = open("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
		  O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = read(fd, secure, 5);

		close(fd);
		if (n == 5 && secure[4] == 1) {
			snprintf(found, size, "Secure Boot is on");
			return true;
		}
	}
	return false;
}

static void module(struct report *r)
{
	char found[256];
	struct stat st;
	bool loaded = !stat("/sys/module/emp", &st);

	row(r, "module emp", loaded ? GOOD : BAD, loaded ? "loaded" : "not loaded",
	    "sudo modprobe emp (not found: make && sudo make install)");
	if (!loaded && lockdown(found, sizeof(found)))
		row(r, "Secure Boot", HINT, found,
		    "sign the module: with DKMS, sudo mokutil --import /var/lib/dkms/mok.pub, then reboot");
}

static void control(struct report *r)
{
	char found[256];
	struct emp_info info;
	struct stat st;
	struct ax_msg msg;
	int fd;

	if (stat(emp_control_path(), &st)) {
		row(r, "control device", BAD, "not there", "sudo modprobe emp");
		return;
	}
	snprintf(found, sizeof(found), "%s, mode %04o", emp_control_path(), st.st_mode & 07777);
	if (st.st_mode & 0007) {
		row(r, "control device", HINT, found,
		    "nobody else should open it: install the udev rule, or chmod 0660");
	} else {
		row(r, "control device", GOOD, found, "");
	}
	fd = emp_control_open(&msg);
	if (fd < 0) {
		row(r, "access", HINT, msg.text, "run as root");
		return;
	}
	if (emp_info(fd, &info, &msg)) {
		row(r, "interface", BAD, msg.text, "install module and tools of the same version");
	} else {
		snprintf(found, sizeof(found), "version %u, module %.31s", info.abi, info.version);
		row(r, "interface", GOOD, found, "");
	}
	close(fd);
}

static void mounted(struct report *r)
{
	bool ok = emp_mounted();

	/* emp-qemu and region create mount it themselves */
	row(r, "empfs", ok ? GOOD : HINT, ok ? emp_mount_path() : "not mounted", "sudo empctl mount");
}

/* Only for those who have donors: nothing here is essential. */
static void rdma(struct report *r)
{
	char path[300], state[64], found[128] = "";
	unsigned int devices = 0, active = 0;
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir("/sys/class/infiniband");

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		devices++;
		snprintf(path, sizeof(path), "/sys/class/infiniband/%.200s/ports/1/state",
			 entry->d_name);
		if (read_line(path, state, sizeof(state)) && strstr(state, "ACTIVE"))
			active++;
	}
	if (dir)
		closedir(dir);
	snprintf(found, sizeof(found), "%u device%s, %u with an active port%s", devices,
		 devices == 1 ? "" : "s", active,
		 stat("/sys/module/emp_rdma", &st) ? ", emp_rdma not loaded" : "");
	if (!devices)
		row(r, "RDMA", HINT, "no device",
		    "for memory donors only: load the card's driver, or modprobe rdma_rxe; rdma link add rxe0 type rxe netdev NAME");
	else if (!active)
		row(r, "RDMA", HINT, found, "for memory donors only: see rdma link; is the network up?");
	else
		row(r, "RDMA", GOOD, found, "");
	if (devices && stat(EMP_DONOR_KEYS, &st))
		row(r, "donor keys", HINT, EMP_DONOR_KEYS " is not there",
		    "for memory donors only: copy the line that emp-donor key add made, chmod 600");
	else if (devices && st.st_mode & 077)
		row(r, "donor keys", HINT, "others may read " EMP_DONOR_KEYS,
		    "chmod 600 " EMP_DONOR_KEYS);
	else if (devices)
		row(r, "donor keys", GOOD, EMP_DONOR_KEYS, "");
}

static void kvm(struct report *r)
{
	bool there = !access("/dev/kvm", F_OK);

	if (there && !access("/dev/kvm", R_OK | W_OK))
		row(r, "KVM", GOOD, "/dev/kvm", "");
	else if (there)
		row(r, "KVM", HINT, "/dev/kvm: permission denied",
		    "sudo usermod -aG kvm $USER, then log in again");
	else
		row(r, "KVM", HINT, "no /dev/kvm",
		    "sudo modprobe kvm_amd or kvm_intel; switch virtualization on in the firmware");
}

static void huge(struct report *r)
{
	char text[128];

	if (!read_line("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text)))
		row(r, "huge pages", HINT, "the kernel has none",
		    "use map=small; a kernel with CONFIG_TRANSPARENT_HUGEPAGE is faster");
	else if (strstr(text, "[never]"))
		row(r, "huge pages", HINT, text,
		    "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled, or use map=small");
	else
		row(r, "huge pages", GOOD, text, "");
}

static void memcg(struct report *r)
{
	char text[512] = "";
	struct stat st;

	if (read_line("/sys/fs/cgroup/cgroup.controllers", text, sizeof(text)) &&
	    strstr(text, "memory"))
		row(r, "memory cgroup", GOOD, "version 2", "");
	else if (!stat("/sys/fs/cgroup/memory", &st))
		row(r, "memory cgroup", GOOD, "version 1", "");
	else
		row(r, "memory cgroup", HINT, "no memory controller",
		    "dram:-1 does not work, DRAM is charged to nobody: boot without cgroup_disable=memory");
}

static void qemu(struct report *r)
{
	unsigned int major = 0, minor = 0;
	char line[256] = "";
	FILE *p = popen("qemu-system-x86_64 --version 2>/dev/null", "re");

	if (p) {
		if (!fgets(line, sizeof(line), p))
			line[0] = '\0';
		pclose(p);
	}
	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "QEMU emulator version %u.%u", &major, &minor) != 2)
		row(r, "QEMU", HINT, "no qemu-system-x86_64", "sudo apt-get install qemu-system-x86");
	else	/* -machine memory-backend= came with 5.0 */
		row(r, "QEMU", major >= 5 ? GOOD : HINT, line, "emp-qemu needs QEMU 5.0 or later");
}

int empctl_doctor(const struct ax_args *args)
{
	struct report r = { .json = ax_has(args, "json") };

	if (r.json)
		r.rows = json_array();
	kernel(&r);
	module(&r);
	control(&r);
	mounted(&r);
	rdma(&r);
	kvm(&r);
	huge(&r);
	memcg(&r);
	qemu(&r);
	if (r.json) {
		if (empctl_print_json(r.rows))
			return AX_FAIL;
	} else if (r.bad) {
		printf("\n%u essential thing%s missing.\n", r.bad, r.bad == 1 ? " is" : "s are");
	} else {
		printf("\nElastic memory can be used here%s.\n",
		       r.hints ? ", with the hints above" : "");
	}
	return r.bad ? AX_FAIL : AX_OK;
}
