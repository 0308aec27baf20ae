// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pimctl lease and owner: have ranks, see who has them, set who may.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "pimctl.h"

static volatile pid_t child;

static void pass_on(int sig)
{
	if (child > 0)
		kill(child, sig);
}

/* The command's exit status, as a shell tells it. */
static int run_command(char **argv)
{
	const struct sigaction action = { .sa_handler = pass_on };
	int status;

	child = fork();
	if (child < 0)
		return ax_error("cannot start a process: %s", strerror(errno));
	if (!child) {
		execvp(argv[0], argv);
		ax_error("%s: %s", argv[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return ax_error("wait: %s", strerror(errno));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Put "/dev/dpu_rankN" or "rankN" of the leased rank behind @names. */
static void add_name(int arbiter, uint32_t id, char *names, size_t size)
{
	size_t n = strlen(names);
	struct pim_rank_state st;
	struct ax_msg msg;

	if (pim_rank_get(arbiter, id, &st, &msg) == 1 && st.id == id && st.local != PIM_ID_ANY)
		snprintf(names + n, size - n, "%s/dev/dpu_rank%u", n ? " " : "", st.local);
	else
		snprintf(names + n, size - n, "%srank%u", n ? " " : "", id);
}

int pimctl_lease_run(const struct ax_args *args)
{
	uint64_t rank, count, timeout, expire;
	char names[PIM_RANKS_MAX * 24] = "";
	struct ax_msg msg;
	int arbiter;

	if (!ax_number(args, "rank", 0, PIM_RANKS_MAX - 1, PIM_ID_ANY, &rank) ||
	    !ax_number(args, "count", 1, PIM_RANKS_MAX, 1, &count) ||
	    !ax_number(args, "timeout", 0, 4000000, PIM_ID_ANY, &timeout) ||
	    !ax_number(args, "expire", 1, 4000000, 0, &expire))
		return AX_USAGE;
	if (rank != PIM_ID_ANY && count != 1)
		return ax_usage("--rank is one rank: without --count");
	arbiter = pim_arbiter_open(&msg);
	if (arbiter < 0)
		return ax_error("%s", msg.text);
	/* The leases' files stay open, and end with this program. */
	for (uint64_t i = 0; i < count; i++) {
		struct pim_lease_req req = {
			.size = sizeof(req),
			.id = rank,
			.flags = timeout ? 0 : PIM_LEASE_F_NOWAIT,
			.timeout_ms = timeout == PIM_ID_ANY ? 0 : timeout * 1000,
			.expire_ms = expire * 1000,
		};

		if (pim_lease(arbiter, &req, &msg) < 0)
			return ax_error("%s", msg.text);
		add_name(arbiter, req.id, names, sizeof(names));
	}
	setenv("ANNEX_RANKS", names, 1);
	return run_command(args->argv);
}

static json_t *parked_json(const struct pim_parked_state *st, uint64_t bytes)
{
	return json_pack("{s:I, s:s, s:I, s:I, s:I, s:s, s:I}",
			 "lease", (json_int_t)st->lease, "state", "parked",
			 "waiting", (json_int_t)st->waiting, "uid", (json_int_t)st->owner_uid,
			 "pid", (json_int_t)st->owner_pid, "comm", st->owner_comm,
			 "saved_bytes", (json_int_t)bytes);
}

/* Those that have no rank: how much they take instead. */
static int list_parked(int arbiter, json_t *array, struct ax_msg *msg)
{
	struct pim_parked_state st;
	char used[AX_HUMAN];
	int ret;

	for (uint64_t n = 0; (ret = pim_parked_get(arbiter, n, &st, msg)) > 0; n = st.lease + 1) {
		uint64_t bytes = st.mram_used + st.state_bytes;

		if (array)
			json_array_append_new(array, parked_json(&st, bytes));
		else
			printf("%8llu %4s %8u %8u %s (parked%s, %s)\n",
			       (unsigned long long)st.lease, "-", st.owner_uid, st.owner_pid,
			       st.owner_comm, st.waiting ? ", waits" : "",
			       ax_human_size(bytes, used));
	}
	return ret;
}

int pimctl_lease_list(const struct ax_args *args)
{
	json_t *array = ax_has(args, "json") ? json_array() : NULL;
	struct pim_rank_state st;
	struct ax_msg msg;
	int arbiter = pim_arbiter_open(&msg), ret;

	if (arbiter < 0)
		return ax_error("%s", msg.text);
	if (!array)
		printf("%8s %4s %8s %8s %s\n", "LEASE", "RANK", "UID", "PID", "COMMAND");
	for (uint32_t id = 0; (ret = pim_rank_get(arbiter, id, &st, &msg)) > 0; id = st.id + 1) {
		if (!st.owner_kind)
			continue;
		if (array)
			json_array_append_new(array, json_pack("{s:I, s:s, s:I, s:I, s:I, s:s}",
							       "lease", (json_int_t)st.lease,
							       "state", pim_state_name(st.state),
							       "rank", (json_int_t)st.id,
							       "uid", (json_int_t)st.owner_uid,
							       "pid", (json_int_t)st.owner_pid,
							       "comm", st.owner_comm));
		else
			printf("%8llu %4u %8u %8u %s\n", (unsigned long long)st.lease, st.id,
			       st.owner_uid, st.owner_pid, st.owner_comm);
	}
	if (!ret)
		ret = list_parked(arbiter, array, &msg);
	close(arbiter);
	if (ret < 0)
		return ax_error("%s", msg.text);
	return array ? pimctl_print_json(array) : AX_OK;
}

/* An ioctl of the arbiter: 0, an errno, or -1 after a message. */
static int ask_arbiter(unsigned long request, void *arg)
{
	struct ax_msg msg;
	int arbiter = pim_arbiter_open(&msg), err;

	if (arbiter < 0) {
		ax_error("%s", msg.text);
		return -1;
	}
	err = ioctl(arbiter, request, arg) ? errno : 0;
	close(arbiter);
	return err;
}

int pimctl_lease_revoke(const struct ax_args *args)
{
	struct pim_lease_id by_number = { .size = sizeof(by_number) };
	struct pim_rank_id by_rank = { .size = sizeof(by_rank) };
	char which[32];
	uint64_t lease;
	int err;

	if (!ax_number(args, "lease", 1, UINT64_MAX, 0, &lease))
		return AX_USAGE;
	if (!lease == !args->argc)
		return ax_usage("which one: the rank's ID, or --lease NUMBER");
	if (lease) {
		by_number.lease = lease;
		snprintf(which, sizeof(which), "lease %llu", (unsigned long long)lease);
		err = ask_arbiter(PIM_IOC_LEASE_REVOKE, &by_number);
	} else {
		if (!pimctl_rank_id(args->argv[0], &by_rank.id))
			return AX_USAGE;
		snprintf(which, sizeof(which), "rank %u", by_rank.id);
		err = ask_arbiter(PIM_IOC_REVOKE, &by_rank);
	}
	switch (err) {
	case 0:
		return AX_OK;
	case -1:
		return AX_FAIL;
	case ENOENT:
		return ax_error("no %s (see pimctl rank list)", which);
	case ESRCH:
		return lease ? ax_error("no %s (see pimctl lease list)", which) :
		       ax_error("%s is not leased", which);
	case EPERM:
		return ax_error("ending somebody's lease needs root (CAP_SYS_ADMIN)");
	}
	return ax_error("cannot end the lease (%s): %s", which, strerror(err));
}

/* --- owners ------------------------------------------------------------------------ */

static json_t *owner_json(const struct pim_owner_state *st)
{
	json_t *o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			      "uid", (json_int_t)st->uid, "priority", (json_int_t)st->priority,
			      "keep_ms", (json_int_t)st->keep_ms,
			      "ranks", (json_int_t)st->ranks, "waiting", (json_int_t)st->waiting,
			      "leases", (json_int_t)st->leases, "busy_ns", (json_int_t)st->busy_ns,
			      "commands", (json_int_t)st->commands,
			      "bytes_in", (json_int_t)st->bytes_in,
			      "bytes_out", (json_int_t)st->bytes_out);

	if (o && st->max_ranks != PIM_ID_ANY)
		json_object_set_new(o, "max_ranks", json_integer(st->max_ranks));
	if (o && st->max_parked != PIM_ID_ANY)
		json_object_set_new(o, "max_parked", json_integer(st->max_parked));
	if (o)
		json_object_update_new(o, json_pack("{s:I, s:I, s:I, s:I}", "idle_ms",
						    (json_int_t)st->idle_ms, "max_parked_bytes",
						    (json_int_t)st->max_parked_bytes, "parked",
						    (json_int_t)st->parked, "parked_bytes",
						    (json_int_t)st->parked_bytes));
	return o;
}

static void owner_line(const struct pim_owner_state *st)
{
	char most[16] = "none", keep[16] = "none", idle[16] = "none";
	char a[AX_HUMAN], b[AX_HUMAN], c[AX_HUMAN];

	if (st->max_ranks != PIM_ID_ANY)
		snprintf(most, sizeof(most), "%u", st->max_ranks);
	if (st->keep_ms)
		snprintf(keep, sizeof(keep), "%g s", st->keep_ms / 1e3);
	if (st->idle_ms)
		snprintf(idle, sizeof(idle), "%g s", st->idle_ms / 1e3);
	printf("%8u %8u %6u %6s %8s %8s %6u %7u %8llu %10s %12llu %10s %10s\n", st->uid,
	       st->priority, st->ranks, most, keep, idle, st->parked, st->waiting,
	       (unsigned long long)st->leases,
	       ax_human_ns(st->busy_ns, a), (unsigned long long)st->commands,
	       ax_human_size(st->bytes_in, b), ax_human_size(st->bytes_out, c));
}

int pimctl_owner_list(const struct ax_args *args)
{
	json_t *array = ax_has(args, "json") ? json_array() : NULL;
	struct pim_owner_state st;
	struct ax_msg msg;
	int arbiter = pim_arbiter_open(&msg), ret;
	uint32_t uid = 0;

	if (arbiter < 0)
		return ax_error("%s", msg.text);
	if (!array)
		printf("%8s %8s %6s %6s %8s %8s %6s %7s %8s %10s %12s %10s %10s\n", "UID",
		       "PRIORITY", "RANKS", "MOST", "KEEP", "IDLE", "PARKED", "WAITING",
		       "LEASES", "BUSY", "COMMANDS", "IN", "OUT");
	while ((ret = pim_owner_get(arbiter, uid, &st, &msg)) > 0) {
		if (array)
			json_array_append_new(array, owner_json(&st));
		else
			owner_line(&st);
		if (st.uid == UINT32_MAX)
			break;
		uid = st.uid + 1;
	}
	close(arbiter);
	if (ret < 0)
		return ax_error("%s", msg.text);
	return array ? pimctl_print_json(array) : AX_OK;
}

bool pimctl_owners_json(int arbiter, json_t *all, struct ax_msg *msg)
{
	json_t *array = json_array();
	struct pim_owner_state st;
	uint32_t uid = 0;
	int ret;

	while ((ret = pim_owner_get(arbiter, uid, &st, msg)) > 0) {
		json_array_append_new(array, owner_json(&st));
		if (st.uid == UINT32_MAX) {
			ret = 0;
			break;
		}
		uid = st.uid + 1;
	}
	json_object_set_new(all, "owners", array);
	return !ret;
}

/* When its ranks may be parked, and how many; false: @key is another one. */
static bool owner_parking(struct pim_owner_state *st, const char *key, const char *value, int *ret)
{
	bool none = !strcmp(value, "none");
	uint64_t v = 0;

	*ret = AX_OK;
	if (!strcmp(key, "idle")) {
		if (!none && (ax_parse_ms(value, strlen(value), &v) || !v || v > PIM_KEEP_MAX_MS))
			*ret = ax_usage("idle: '%s' is not a time up to %us, or none", value,
					PIM_KEEP_MAX_MS / 1000);
		st->idle_ms = (uint32_t)v;
		return true;
	}
	if (!strcmp(key, "max_parked")) {
		if (!none && (ax_parse_u64(value, strlen(value), &v) || v >= PIM_ID_ANY))
			*ret = ax_usage("max_parked: '%s' is not a number, or none", value);
		st->max_parked = none ? PIM_ID_ANY : (uint32_t)v;
		return true;
	}
	if (!strcmp(key, "max_parked_bytes")) {
		if (!none && (ax_parse_size(value, strlen(value), &v) || !v))
			*ret = ax_usage("max_parked_bytes: '%s' is not a size, or none", value);
		st->max_parked_bytes = v;
		return true;
	}
	return false;
}

/* One KEY=VALUE into @st; AX_OK or AX_USAGE. */
static int owner_pair(struct pim_owner_state *st, const char *pair)
{
	const char *value = strchr(pair, '=');
	size_t len = value ? value - pair : 0;
	char key[32];
	uint64_t v;
	int ret;

	if (!value)
		return ax_usage("'%s' is not KEY=VALUE", pair);
	value++;
	snprintf(key, sizeof(key), "%.*s", (int)(len < sizeof(key) ? len : 0), pair);
	if (owner_parking(st, key, value, &ret))
		return ret;
	if (len == strlen("max_ranks") && !strncmp(pair, "max_ranks", len)) {
		if (!strcmp(value, "none")) {
			st->max_ranks = PIM_ID_ANY;
			return AX_OK;
		}
		if (ax_parse_u64(value, strlen(value), &v) || v > PIM_RANKS_MAX)
			return ax_usage("max_ranks: '%s' is not a number up to %u, or none", value,
					PIM_RANKS_MAX);
		st->max_ranks = v;
		return AX_OK;
	}
	if (len == strlen("priority") && !strncmp(pair, "priority", len)) {
		if (ax_parse_u64(value, strlen(value), &v) || v > PIM_PRIORITY_MAX)
			return ax_usage("priority: '%s' is not a number up to %u", value,
					PIM_PRIORITY_MAX);
		st->priority = v;
		return AX_OK;
	}
	if (len == strlen("keep") && !strncmp(pair, "keep", len)) {
		if (!strcmp(value, "none")) {
			st->keep_ms = 0;
			return AX_OK;
		}
		if (ax_parse_u64(value, strlen(value), &v) || v > PIM_KEEP_MAX_MS / 1000)
			return ax_usage("keep: '%s' is not a number of seconds up to %u, or none",
					value, PIM_KEEP_MAX_MS / 1000);
		st->keep_ms = v * 1000;
		return AX_OK;
	}
	return ax_usage("'%.*s' cannot be set: max_ranks, priority, keep, idle, max_parked or max_parked_bytes",
			(int)len, pair);
}

int pimctl_owner_set(const struct ax_args *args)
{
	struct pim_owner_state st, set = { .size = sizeof(set), .max_ranks = PIM_ID_ANY,
					   .priority = 4, .max_parked = PIM_ID_ANY };
	struct ax_msg msg;
	int arbiter, err;
	uint64_t uid;

	if (ax_parse_u64(args->argv[0], strlen(args->argv[0]), &uid) || uid >= UINT32_MAX)
		return ax_usage("'%s' is not a user id", args->argv[0]);
	arbiter = pim_arbiter_open(&msg);
	if (arbiter < 0)
		return ax_error("%s", msg.text);
	/* What is not named stays as it is. */
	err = pim_owner_get(arbiter, uid, &st, &msg);
	if (err < 0) {
		err = ax_error("%s", msg.text);
		goto out;
	}
	if (err && st.uid == uid) {
		set.max_ranks = st.max_ranks;
		set.priority = st.priority;
		set.keep_ms = st.keep_ms;
		set.idle_ms = st.idle_ms;
		set.max_parked = st.max_parked;
		set.max_parked_bytes = st.max_parked_bytes;
	}
	set.uid = uid;
	for (int i = 1; i < args->argc; i++) {
		err = owner_pair(&set, args->argv[i]);
		if (err)
			goto out;
	}
	err = AX_OK;
	if (ioctl(arbiter, PIM_IOC_OWNER_SET, &set))
		err = errno == EPERM ? ax_error("setting limits needs root (CAP_SYS_ADMIN)") :
		      ax_error("cannot set limits of user %u: %s", set.uid, strerror(errno));
out:
	close(arbiter);
	return err;
}
