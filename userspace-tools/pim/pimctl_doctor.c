// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl doctor: what is missing on this machine, and how to mend it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pim_serve.h"
#include "pimctl.h"

enum verdict { GOOD, HINT, BAD };	/* BAD: nothing works without it */

struct report {
	bool json;
	json_t *rows;
	unsigned int bad;
};

static void row(struct report *r, const char *what, enum verdict v, const char *found,
		const char *fix)
{
	static const char *const words[] = { "ok", "hint", "MISSING" };

	r->bad += v == BAD;
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

static bool there(const char *path)
{
	return !access(path, F_OK);
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

static void modules(struct report *r)
{
	char version[32], found[64];

	row(r, "module pim", there("/sys/module/pim") ? GOOD : BAD,
	    there("/sys/module/pim") ? "loaded" : "not loaded",
	    "sudo modprobe pim (not found: make && sudo make install)");
	row(r, "module pim_local", there("/sys/module/pim_local") ? GOOD : HINT,
	    there("/sys/module/pim_local") ? "loaded" : "not loaded: no /dev/dpu_rankN on this host",
	    "sudo modprobe pim_local, if programs on this host shall use ranks");
	row(r, "module pim_mdev", there("/sys/module/pim_mdev") ? GOOD : HINT,
	    there("/sys/module/pim_mdev") ? "loaded" : "not loaded: no devices for virtual machines",
	    "sudo modprobe pim_mdev, if guests shall use ranks");
	if (!there("/sys/module/dpu"))
		return;
	/* The vendor's driver has the same name, and hardware. */
	if (there("/sys/class/dpu_dax")) {
		row(r, "module dpu", BAD, "the vendor's driver",
		    "sudo modprobe -r dpu: not both on one kernel");
	} else if (read_line("/sys/module/dpu/version", version, sizeof(version))) {
		snprintf(found, sizeof(found), "interface %s", version);
		row(r, "module dpu", GOOD, found, "");
	}
}

static void devices(struct report *r)
{
	struct ax_msg msg;
	int fd = pim_control_open(&msg);

	row(r, "control device", fd >= 0 ? GOOD : geteuid() ? HINT : BAD,
	    fd >= 0 ? "/dev/pim-control" : msg.text, "be root to add and remove ranks");
	if (fd >= 0)
		close(fd);
	fd = pim_arbiter_open(&msg);
	row(r, "arbiter", fd >= 0 ? GOOD : BAD, fd >= 0 ? pim_arbiter_path() : msg.text,
	    "sudo modprobe pim; be root, or in the device's group");
	if (fd >= 0)
		close(fd);
}

static void ranks(struct report *r)
{
	unsigned int nr = 0, faulty = 0;
	struct pim_rank_state st;
	struct ax_msg msg;
	char found[64];
	int fd = pim_arbiter_open(&msg);

	if (fd < 0)
		return;
	for (uint32_t id = 0; pim_rank_get(fd, id, &st, &msg) > 0; id = st.id + 1) {
		nr++;
		faulty += st.state == PIM_STATE_FAULTY;
	}
	close(fd);
	snprintf(found, sizeof(found), "%u, %u of them faulty", nr, faulty);
	row(r, "ranks", nr && !faulty ? GOOD : HINT, found,
	    nr ? "start their provider again, or pimctl rank remove ID" :
	    "start a provider: pim-emu --ranks 2");
}

int pimctl_doctor(const struct ax_args *args)
{
	struct report r = { .json = ax_has(args, "json") };

	if (r.json)
		r.rows = json_array();
	modules(&r);
	devices(&r);
	ranks(&r);
	if (r.json) {
		int ret = pimctl_print_json(r.rows);

		return ret ? ret : r.bad ? AX_FAIL : AX_OK;
	}
	return r.bad ? AX_FAIL : AX_OK;
}
