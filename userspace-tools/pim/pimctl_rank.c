// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl rank: list, show, set, remove.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "pim_serve.h"
#include "pimctl.h"

static const char *local_name(const struct pim_rank_state *st, char out[32])
{
	if (st->local == PIM_ID_ANY)
		return "-";
	snprintf(out, 32, "/dev/dpu_rank%u", st->local);
	return out;
}

/* The counters of a rank in sysfs, by name; none of one that is not there. */
static json_t *rank_stats(uint32_t id)
{
	json_t *stats = json_object();
	char path[512];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%.200s/rank%u/stats", pim_sysfs_root(), id);
	dir = opendir(path);
	while (dir && stats && (e = readdir(dir))) {
		unsigned long long value;
		FILE *f;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%.200s/rank%u/stats/%.200s", pim_sysfs_root(), id,
			 e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &value) == 1)
			json_object_set_new(stats, e->d_name, json_integer((json_int_t)value));
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return stats;
}

static json_t *rank_json(const struct pim_rank_state *st)
{
	char local[32];
	json_t *o = json_pack("{s:I, s:s, s:b, s:b, s:I, s:I, s:I, s:I}",
			      "rank", (json_int_t)st->id, "state", pim_state_name(st->state),
			      "offline", (int)st->offline, "kept", (int)st->kept,
			      "nr_cis", (json_int_t)st->nr_cis,
			      "nr_dpus_per_ci", (json_int_t)st->nr_dpus_per_ci,
			      "mram_size", (json_int_t)st->mram_size,
			      "mram_used", (json_int_t)st->mram_used);

	if (!o)
		return NULL;
	json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:I}",
					    "busy_ns", (json_int_t)st->busy_ns,
					    "commands", (json_int_t)st->commands,
					    "bytes_in", (json_int_t)st->bytes_in,
					    "bytes_out", (json_int_t)st->bytes_out));
	if (st->local != PIM_ID_ANY)
		json_object_set_new(o, "local", json_string(local_name(st, local)));
	if (st->provider_pid)
		json_object_update_new(o, json_pack("{s:s, s:I}", "provider", st->provider,
						    "provider_pid", (json_int_t)st->provider_pid));
	if (st->owner_kind)
		json_object_update_new(o, json_pack("{s:I, s:I, s:s, s:I}", "owner_uid",
						    (json_int_t)st->owner_uid, "owner_pid",
						    (json_int_t)st->owner_pid, "owner_comm",
						    st->owner_comm, "lease",
						    (json_int_t)st->lease));
	json_object_set_new(o, "stats", rank_stats(st->id));
	return o;
}

static uint64_t stat_of(const json_t *stats, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(stats, name));
}

/* What came of its leases, if something did that is not every day's. */
static void rank_events(uint32_t id)
{
	json_t *stats = rank_stats(id);
	uint64_t saves = stat_of(stats, "saves"), restores = stat_of(stats, "restores");
	uint64_t failed = stat_of(stats, "restore_errors");
	char a[AX_HUMAN], b[AX_HUMAN];

	if (saves || restores)
		printf("  parked     saved %llu times, %s each, %llu times not because a DPU ran; restored %llu times, %s each\n",
		       (unsigned long long)saves,
		       ax_human_ns(saves ? stat_of(stats, "save_ns") / saves : 0, a),
		       (unsigned long long)stat_of(stats, "saves_busy"),
		       (unsigned long long)restores,
		       ax_human_ns(restores ? stat_of(stats, "restore_ns") / restores : 0, b));
	if (failed)
		printf("  lost       %llu leases, which could not be restored\n",
		       (unsigned long long)failed);
	json_decref(stats);
}

static void rank_line(const struct pim_rank_state *st)
{
	char used[AX_HUMAN], local[32], owner[64] = "-", dpus[16];

	if (st->owner_kind)
		snprintf(owner, sizeof(owner), "uid %u %s[%u]", st->owner_uid, st->owner_comm,
			 st->owner_pid);
	snprintf(dpus, sizeof(dpus), "%ux%u", st->nr_cis, st->nr_dpus_per_ci);
	printf("%4u %-9s%-8s %5s %10s %-14s %-12s %s\n", st->id, pim_state_name(st->state),
	       st->offline ? " offline" : st->kept ? " kept" : "", dpus,
	       ax_human_size(st->mram_used, used), local_name(st, local),
	       st->provider_pid ? st->provider : "-", owner);
}

static void rank_text(const struct pim_rank_state *st)
{
	char a[AX_HUMAN], b[AX_HUMAN], c[AX_HUMAN], d[AX_HUMAN], e[AX_HUMAN], local[32];

	printf("rank %u\n", st->id);
	printf("  state      %s%s%s\n", pim_state_name(st->state), st->offline ? ", offline" : "",
	       st->kept ? ", kept for its last owner" : "");
	printf("  DPUs       %u interfaces of %u, MRAM %s each, %s in use\n", st->nr_cis,
	       st->nr_dpus_per_ci, ax_human_size(st->mram_size, a),
	       ax_human_size(st->mram_used, b));
	printf("  device     %s\n", local_name(st, local));
	if (st->provider_pid)
		printf("  provider   %s, process %u\n", st->provider, st->provider_pid);
	else
		printf("  provider   none\n");
	if (st->owner_kind)
		printf("  owner      uid %u, process %u (%s), lease %llu\n", st->owner_uid,
		       st->owner_pid, st->owner_comm, (unsigned long long)st->lease);
	else
		printf("  owner      none\n");
	printf("  used       %s busy, %llu commands, %s in, %s out\n", ax_human_ns(st->busy_ns, c),
	       (unsigned long long)st->commands, ax_human_size(st->bytes_in, d),
	       ax_human_size(st->bytes_out, e));
	rank_events(st->id);
}

bool pimctl_ranks_json(int arbiter, json_t *all, struct ax_msg *msg)
{
	json_t *array = json_array();
	struct pim_rank_state st;
	int ret;

	for (uint32_t id = 0; (ret = pim_rank_get(arbiter, id, &st, msg)) > 0; id = st.id + 1)
		json_array_append_new(array, rank_json(&st));
	json_object_set_new(all, "ranks", array);
	return !ret;
}

/* Each rank to @text, or all into an array. */
static int each_rank(const struct ax_args *args, void (*text)(const struct pim_rank_state *))
{
	json_t *array = ax_has(args, "json") ? json_array() : NULL;
	struct pim_rank_state st;
	struct ax_msg msg;
	int arbiter = pim_arbiter_open(&msg), ret;

	if (arbiter < 0)
		return ax_error("%s", msg.text);
	for (uint32_t id = 0; (ret = pim_rank_get(arbiter, id, &st, &msg)) > 0; id = st.id + 1) {
		if (array)
			json_array_append_new(array, rank_json(&st));
		else
			text(&st);
	}
	close(arbiter);
	if (ret < 0)
		return ax_error("%s", msg.text);
	return array ? pimctl_print_json(array) : AX_OK;
}

int pimctl_rank_list(const struct ax_args *args)
{
	if (!ax_has(args, "json"))
		printf("%4s %-17s %5s %10s %-14s %-12s %s\n", "RANK", "STATE", "DPUS", "MRAM USED",
		       "DEVICE", "PROVIDER", "OWNER");
	return each_rank(args, rank_line);
}

int pimctl_rank_show(const struct ax_args *args)
{
	struct pim_rank_state st;
	struct ax_msg msg;
	uint32_t id;
	int arbiter, ret;

	if (!args->argc)
		return each_rank(args, rank_text);
	if (!pimctl_rank_id(args->argv[0], &id))
		return AX_USAGE;
	arbiter = pim_arbiter_open(&msg);
	if (arbiter < 0)
		return ax_error("%s", msg.text);
	ret = pim_rank_get(arbiter, id, &st, &msg);
	close(arbiter);
	if (ret < 0)
		return ax_error("%s", msg.text);
	if (!ret || st.id != id)
		return ax_error("no rank %u (see pimctl rank list)", id);
	if (ax_has(args, "json"))
		return pimctl_print_json(rank_json(&st));
	rank_text(&st);
	return AX_OK;
}

int pimctl_rank_set(const struct ax_args *args)
{
	const char *value;
	char path[256];
	uint32_t id;
	int fd;

	if (!pimctl_rank_id(args->argv[0], &id))
		return AX_USAGE;
	if (!strcmp(args->argv[1], "offline=yes"))
		value = "1";
	else if (!strcmp(args->argv[1], "offline=no"))
		value = "0";
	else
		return ax_usage("'%s' is not offline=yes or offline=no", args->argv[1]);
	snprintf(path, sizeof(path), "%.200s/rank%u/offline", pim_sysfs_root(), id);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return ax_error("no rank %u (see pimctl rank list)", id);
	if (fd < 0 || write(fd, value, 1) != 1)
		return ax_error("%s: %s", path, strerror(errno));
	close(fd);
	return AX_OK;
}

int pimctl_rank_remove(const struct ax_args *args)
{
	struct pim_rank_id a = { .size = sizeof(a) };
	struct ax_msg msg;
	int control, err;

	if (!pimctl_rank_id(args->argv[0], &a.id))
		return AX_USAGE;
	control = pim_control_open(&msg);
	if (control < 0)
		return ax_error("%s", msg.text);
	err = ioctl(control, PIM_IOC_RANK_REMOVE, &a) ? errno : 0;
	close(control);
	if (err == ENOENT)
		return ax_error("no rank %u (see pimctl rank list)", a.id);
	return err ? ax_error("cannot remove rank %u: %s", a.id, strerror(err)) : AX_OK;
}
