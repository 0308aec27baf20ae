// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * emp-donor: gives memory of this machine to clients on others, over RDMA.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "../lib/ax_size.h"
#include "donor.h"
#include "donor_notify.h"

#define ERASE_MS 20000		/* for a device at the end */

uint64_t donor_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* --- what the protocol asks for ---------------------------------------------- */

static void op_prepare(void *ctx, struct donor_slab *slab)
{
	donor_mem_submit(&((struct donor *)ctx)->mem, slab, DONOR_MEM_PREPARE);
}

static void op_zero(void *ctx, struct donor_slab *slab)
{
	donor_mem_submit(&((struct donor *)ctx)->mem, slab, DONOR_MEM_ZERO);
}

static void op_release(void *ctx, struct donor_slab *slab)
{
	donor_mem_submit(&((struct donor *)ctx)->mem, slab, DONOR_MEM_RELEASE);
}

static void op_store(void *ctx, struct donor_slab *slab)
{
	donor_backing_submit(&((struct donor *)ctx)->backing, slab, DONOR_BACKING_STORE);
}

static void op_load(void *ctx, struct donor_slab *slab)
{
	donor_backing_submit(&((struct donor *)ctx)->backing, slab, DONOR_BACKING_LOAD);
}

static void op_erase(void *ctx, uint32_t place)
{
	donor_backing_erase(&((struct donor *)ctx)->backing, place);
}

static int op_expose(void *ctx, struct donor_session *s, struct donor_slab *slab)
{
	const struct donor *d = ctx;

	/* the serial number of the grant, 2 GiB apart: no address is ever used twice */
	return donor_net_expose(s, slab, d->conf.slab, slab->grant / DONOR_SLABS_MAX << 31);
}

static void op_hide(void *ctx, struct donor_session *s, struct donor_slab *slab)
{
	(void)ctx;
	donor_net_hide(s, slab);
}

static bool op_send(void *ctx, struct donor_session *s, const void *msg, size_t len)
{
	(void)ctx;
	return donor_net_send(s, msg, len);
}

static bool op_fence(void *ctx, struct donor_session *s, uint32_t qpn)
{
	return donor_net_fence(&((struct donor *)ctx)->net, s, qpn);
}

static void op_hangup(void *ctx, struct donor_session *s, const void *msg, size_t len)
{
	donor_net_hangup(&((struct donor *)ctx)->net, s, msg, len);
}

static void op_ended(void *ctx, struct donor_session *s)
{
	(void)ctx;
	donor_net_ended(s);
}

static void op_log(void *ctx, int level, const char *text)
{
	const struct donor *d = ctx;

	if (level < DONOR_LOG_INFO || d->conf.verbose)
		fprintf(stderr, "%s: %s\n", ax_prog(), text);
}

static const struct donor_ops ops = {
	.slab = { .prepare = op_prepare, .zero = op_zero, .release = op_release,
		  .store = op_store, .load = op_load, .erase = op_erase },
	.expose = op_expose,
	.hide = op_hide,
	.send = op_send,
	.fence = op_fence,
	.hangup = op_hangup,
	.ended = op_ended,
	.log = op_log,
};

/* --- settings -------------------------------------------------------------------- */

/* An option of the command line and the setting that it is. */
static const char *const option_settings[][2] = {
	{ "port", "port" }, { "device", "device" }, { "clients", "clients" },
	{ "key-file", "key-file" }, { "listen", "listen" }, { "socket", "socket" },
};

/* -m: a number alone is MiB, as the ancestor has it. */
static int set_memory(struct donor_conf *conf, const char *value, struct ax_msg *msg)
{
	char text[32];
	uint64_t mb;

	if (!ax_parse_u64(value, strlen(value), &mb)) {
		snprintf(text, sizeof(text), "%sM", value);
		value = strlen(value) < sizeof(text) - 1 ? text : value;
	}
	return donor_conf_set(conf, "memory", value, msg);
}

static int set_pair(struct donor_conf *conf, const char *pair, struct ax_msg *msg)
{
	size_t n = strcspn(pair, "=");
	char key[64];

	if (!pair[n] || n >= sizeof(key))
		return ax_fail(msg, "--option: '%s' is not KEY=VALUE", pair);
	snprintf(key, sizeof(key), "%.*s", (int)n, pair);
	return donor_conf_set(conf, key, pair + n + 1, msg);
}

static int set_option(struct donor_conf *conf, const char *name, const char *value,
		      struct ax_msg *msg)
{
	if (!strcmp(name, "verbose") || !strcmp(name, "no-authentication"))
		return donor_conf_set(conf, name, "yes", msg);
	if (!value)
		return 0;
	if (!strcmp(name, "memory"))
		return set_memory(conf, value, msg);
	if (!strcmp(name, "option"))
		return set_pair(conf, value, msg);
	for (size_t i = 0; i < sizeof(option_settings) / sizeof(option_settings[0]); i++) {
		if (!strcmp(name, option_settings[i][0]))
			return donor_conf_set(conf, option_settings[i][1], value, msg);
	}
	return 0;
}

/* Defaults, the file, the options. */
static int settings(struct donor_conf *conf, const struct ax_args *args, struct ax_msg *msg)
{
	const char *file = ax_value(args, "config");

	donor_conf_defaults(conf);
	if (donor_conf_load(file ? file : DONOR_CONF_FILE, file, conf, msg))
		return -1;
	if (ax_has(args, "listen"))
		conf->nr_listen = 0;
	for (unsigned int i = 0; i < args->nr_given; i++) {
		if (set_option(conf, args->given[i].opt->name, args->given[i].value, msg))
			return -1;
	}
	return donor_conf_check(conf, msg);
}

static struct donor_limits limits(const struct donor_conf *conf)
{
	return (struct donor_limits){
		.slab_bytes = conf->slab,
		.quota = conf->quota,
		.max_sessions = conf->clients,
		.max_joined = conf->connections,
		.credits = DONOR_CREDITS,
		.heartbeat_ms = conf->heartbeat_ms,
		.client_ms = conf->client_ms,
		.linger_ms = conf->linger_ms,
		.proof_ms = conf->proof_ms,
		.revoke_ms = conf->revoke_ms,
		.drain_ms = conf->drain_ms,
		.keep_free = conf->keep_free,
		.noauth = conf->noauth,
	};
}

static int load_keys(struct donor *d, const struct donor_conf *conf, struct ax_msg *msg)
{
	struct donor_keys keys = { 0 };
	int ret;

	if (conf->key_file[0] && donor_keys_load(conf->key_file, &keys, msg))
		return -1;
	d->core.limits = limits(conf);
	ret = donor_core_set_keys(&d->core, &keys);
	donor_keys_free(&keys);
	return ret ? ax_fail(msg, "out of memory") : 0;
}

int donor_resize(struct donor *d, uint64_t bytes, struct ax_msg *msg)
{
	char a[AX_HUMAN], b[AX_HUMAN];
	uint64_t now_has = donor_table_size(&d->core.table) * d->conf.slab;
	uint64_t free = donor_mem_available(d->conf.huge);

	if (bytes < d->conf.slab || bytes > d->conf.memory_max)
		return ax_fail(msg, "memory can be one slab (%s) to %s",
			       ax_human_size(d->conf.slab, a),
			       ax_human_size(d->conf.memory_max, b));
	if (bytes > now_has && free && bytes - now_has > free)
		return ax_fail(msg, "memory: %s more than now, but this machine has only %s available",
			       ax_human_size(bytes - now_has, a), ax_human_size(free, b));
	if (d->core.draining)
		return ax_fail(msg, "the donor is draining");
	d->conf.memory = bytes - bytes % d->conf.slab;
	donor_core_set_memory(&d->core, d->conf.memory, donor_now());
	return 0;
}

int donor_reload(struct donor *d, struct ax_msg *msg)
{
	struct donor_conf conf;
	const char *fixed;
	uint64_t memory;

	if (settings(&conf, d->args, msg))
		return -1;
	fixed = donor_conf_needs_restart(&d->conf, &conf);
	if (fixed)
		return ax_fail(msg, "%s takes a restart to change; nothing was changed", fixed);
	if (load_keys(d, &conf, msg))
		return -1;
	donor_core_enforce_quotas(&d->core, donor_now());
	memory = conf.memory;
	conf.memory = d->conf.memory;
	d->conf = conf;
	return memory == conf.memory ? 0 : donor_resize(d, memory, msg);
}

/* --- the loop ---------------------------------------------------------------------- */

static int signals_new(int epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);	/* before there is a second thread */
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	event.data.fd = fd;
	return fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) ? -1 : fd;
}

static void on_signal(struct donor *d, int fd)
{
	struct signalfd_siginfo info;
	struct ax_msg msg;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			donor_notify("RELOADING=1\nMONOTONIC_USEC=%llu",
				     (unsigned long long)donor_now() * 1000);
			if (donor_reload(d, &msg))
				ax_error("reload: %s", msg.text);
			donor_notify("READY=1");
			continue;
		}
		if (d->stop)
			d->stop_now = true;	/* the second time there is no waiting */
		d->stop = true;
		donor_notify("STOPPING=1\nSTATUS=waiting for clients to leave");
		donor_core_drain(&d->core, donor_now());
	}
}

/* What the worker has done. Returns -1 when the start failed. */
static int collect(struct donor *d)
{
	struct donor_work *work;
	bool failed = false;
	struct ax_msg why;

	while ((work = donor_worker_collect(&d->mem.worker))) {
		d->core.counters.zeroed += work->job == DONOR_MEM_ZERO;
		failed |= !work->ok;
		donor_table_done(&d->core.table, work->slab, work->ok);
		free(work);
	}
	if (failed) {
		char a[AX_HUMAN], b[AX_HUMAN];
		uint64_t has = donor_table_size(&d->core.table) * d->conf.slab;

		donor_mem_why(&d->mem, &why);
		if (!d->ready)
			return ax_error("memory: %s of %s: %s", ax_human_size(has, a),
					ax_human_size(d->conf.memory, b), why.text);
		ax_error("memory stays below %s: %s", ax_human_size(d->conf.memory, a), why.text);
	}
	return 0;
}

/* One line for many jobs that fail the same way. */
static void backing_failed(struct donor *d, const struct donor_work *work, unsigned int *said)
{
	struct ax_msg why;

	if (d->backing.ending || *said & 1u << work->job)
		return;
	*said |= 1u << work->job;
	donor_backing_why(&d->backing, work, &why);
	ax_error("%s%s", why.text, work->job == DONOR_BACKING_STORE ?
		 "; nothing is parked for a while" : "");
}

static void collect_backing(struct donor *d)
{
	uint64_t now = donor_now();
	struct donor_work *work;
	unsigned int said = 0;

	while ((work = donor_worker_collect(&d->backing.worker))) {
		if (!work->ok)
			backing_failed(d, work, &said);
		if (work->job == DONOR_BACKING_STORE)
			donor_park_stored(&d->core, work->slab, work->ok, now);
		else if (work->job == DONOR_BACKING_LOAD)
			donor_park_loaded(&d->core, work->slab, work->ok);
		else
			donor_park_erased(&d->core, work->place, work->ok);
		free(work);
	}
}

static int become_ready(struct donor *d)
{
	char a[AX_HUMAN];
	struct ax_msg msg;

	if (donor_net_init(&d->net, &d->conf, &d->core, d->epoll, &msg))
		return ax_error("%s", msg.text);
	d->ready = true;
	fprintf(stderr, "%s: %s to give on port %u, generation %016llx\n", ax_prog(),
		ax_human_size(d->conf.memory, a), d->conf.port,
		(unsigned long long)d->core.generation);
	donor_notify("READY=1\nSTATUS=serving %s", ax_human_size(d->conf.memory, a));
	return 0;
}

static int one_round(struct donor *d, int signals, uint64_t wait)
{
	struct epoll_event events[32];
	int n = epoll_wait(d->epoll, events, 32, wait);
	int failed = 0;

	if (n < 0 && errno != EINTR)
		return ax_error("epoll: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == signals)
			on_signal(d, fd);
		else if (fd == d->mem.worker.event)
			failed |= collect(d);
		else if (d->core.table.places.nr && fd == d->backing.worker.event)
			collect_backing(d);
		else if (!donor_control_event(d, fd) && d->ready)
			donor_net_event(&d->net, fd, donor_now());
	}
	return failed;
}

static int serve(struct donor *d, int signals)
{
	uint64_t watchdog = donor_notify_watchdog_ms(), barked = 0, wait = 0;

	while (!d->stop_now && !(d->stop && donor_core_drained(&d->core, donor_now()))) {
		uint64_t now;

		if (one_round(d, signals, wait))
			return AX_FAIL;
		if (!d->ready && !donor_worker_busy(&d->mem.worker) && become_ready(d))
			return AX_FAIL;
		now = donor_now();
		wait = donor_core_tick(&d->core, now);
		if (d->ready && donor_net_more(&d->net, now))
			wait = 0;
		if (d->ready && donor_net_reap(&d->net) && wait > 100)
			wait = 100;
		if (watchdog && now - barked >= watchdog) {
			donor_notify("WATCHDOG=1");
			barked = now;
		}
		if (watchdog && wait > watchdog)
			wait = watchdog;
	}
	return AX_OK;
}

static int watch(const struct donor *d, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int open_backing(struct donor *d, struct ax_msg *msg)
{
	const struct donor_backing_how how = {
		.path = d->conf.backing, .size = d->conf.backing_size, .slab = d->conf.slab,
		.force = d->conf.backing_force, .slow_us = d->conf.backing_pause_us,
	};

	return d->conf.backing[0] ? donor_backing_open(&d->backing, &how, msg) : 0;
}

/* A device keeps what was parked, unless it is erased: see that it is, within a time. */
static void end_backing(struct donor *d)
{
	uint64_t end = donor_now() + ERASE_MS;

	if (!d->core.table.places.nr)
		return;
	d->backing.ending = true;
	while (d->backing.device && donor_worker_busy(&d->backing.worker)) {
		struct pollfd done = { .fd = d->backing.worker.event, .events = POLLIN };

		collect_backing(d);
		if (donor_now() >= end) {
			ax_warn("backing %s: not all of what was parked is erased",
				d->conf.backing);
			break;
		}
		if (donor_worker_busy(&d->backing.worker))
			poll(&done, 1, 100);
	}
	donor_backing_exit(&d->backing);
}

static int run_daemon(const struct ax_args *args)
{
	static struct donor d;
	struct donor_mem_how how;
	struct ax_msg msg;
	int signals, ret = AX_FAIL;
	uint64_t available;

	d.args = args;
	d.started = donor_now();
	if (settings(&d.conf, args, &msg))
		return ax_error("%s", msg.text);
	if (donor_net_check_device(d.conf.device, &msg))	/* before it takes memory */
		return ax_error("%s", msg.text);
	available = donor_mem_available(d.conf.huge);
	if (available && d.conf.memory > available) {
		char a[AX_HUMAN], b[AX_HUMAN];

		return ax_error("memory: %s wanted, but this machine has only %s available (-m MB, or memory = in the configuration)",
				ax_human_size(d.conf.memory, a),
				ax_human_size(available, b));
	}
	if (open_backing(&d, &msg))
		return ax_error("%s", msg.text);
	/* registrations are inherited by nobody: there is no fork() */
	d.epoll = epoll_create1(EPOLL_CLOEXEC);
	signals = d.epoll < 0 ? -1 : signals_new(d.epoll);
	if (signals < 0)
		return ax_error("epoll: %s", strerror(errno));
	const struct donor_limits l = limits(&d.conf);

	if (donor_core_init(&d.core, &l, d.conf.memory_max, d.backing.places, &ops, &d))
		return ax_error("out of memory for the table of slabs");
	how = (struct donor_mem_how){ d.conf.slab, d.conf.huge, d.conf.lock };
	if (load_keys(&d, &d.conf, &msg) || donor_mem_init(&d.mem, &how, &msg))
		return ax_error("%s", msg.text);
	d.mem.slow_us = d.conf.zero_pause_us;
	if (d.backing.places && donor_backing_start(&d.backing, &msg))
		return ax_error("%s", msg.text);
	if (watch(&d, d.mem.worker.event) ||
	    (d.backing.places && watch(&d, d.backing.worker.event)))
		return ax_error("epoll: %s", strerror(errno));
	d.control = donor_control_new(d.conf.socket, d.epoll, &msg);
	if (!d.control) {
		ax_error("%s", msg.text);
	} else {
		donor_core_set_memory(&d.core, d.conf.memory, donor_now());
		ret = serve(&d, signals);
	}
	if (d.ready) {
		donor_core_shut(&d.core, ANNEX_DONOR_R_DRAINING);
		donor_net_exit(&d.net);
	}
	donor_control_free(d.control);
	end_backing(&d);
	donor_mem_exit(&d.mem);
	donor_core_free(&d.core);
	return ret;
}

/* --- verbs --------------------------------------------------------------------------- */

static char *ask(const struct ax_args *args, const char *request)
{
	struct donor_conf conf;
	struct ax_msg msg;
	char *text;
	const char *file = ax_value(args, "config"), *socket = ax_value(args, "socket");

	donor_conf_defaults(&conf);
	if (!socket && donor_conf_load(file ? file : DONOR_CONF_FILE, file, &conf, &msg)) {
		ax_error("%s", msg.text);
		return NULL;
	}
	text = donor_control_ask(socket ? socket : conf.socket, request, &msg);
	if (!text)
		ax_error("%s", msg.text);
	return text;
}

static int run_status(const struct ax_args *args)
{
	bool raw = ax_has(args, "json") || ax_has(args, "prometheus");
	char *text = ask(args, ax_has(args, "prometheus") ? "metrics" : "status");
	json_t *status;

	if (!text)
		return AX_FAIL;
	if (raw) {
		fputs(text, stdout);
		if (ax_has(args, "json"))
			putchar('\n');
		free(text);
		return AX_OK;
	}
	status = json_loads(text, 0, NULL);
	free(text);
	if (!status)
		return ax_error("the donor's answer is no JSON");
	donor_status_print(status);
	json_decref(status);
	return AX_OK;
}

static int simple(const struct ax_args *args, const char *request)
{
	char *text = ask(args, request);
	int ret = AX_OK;

	if (!text)
		return AX_FAIL;
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, "ok"))
		ret = ax_error("%s", strncmp(text, "error: ", 7) ? text : text + 7);
	free(text);
	return ret;
}

static int run_resize(const struct ax_args *args)
{
	const char *size = args->argv[0];
	char request[64];
	uint64_t bytes;

	if (ax_parse_size(size, strlen(size), &bytes))
		return ax_usage("'%s' is no size (e.g. 16G)", size);
	snprintf(request, sizeof(request), "resize %llu", (unsigned long long)bytes);
	return simple(args, request);
}

static int run_reload(const struct ax_args *args)
{
	return simple(args, "reload");
}

static int run_drain(const struct ax_args *args)
{
	return simple(args, "drain");
}

static int run_key_add(const struct ax_args *args)
{
	struct ax_msg msg;

	if (donor_keys_add(args->argv[0], args->argv[1], ax_value(args, "quota"), &msg))
		return ax_error("%s", msg.text);
	return AX_OK;
}

static const struct ax_opt global_opts[] = {
	{ "memory", 'm', "MB", "memory to give, in MiB or with a suffix G or T (default 32768)",
	  "" },
	{ "port", 'p', "PORT", "port of the RDMA CM to listen on (default 19675)", "" },
	{ "device", 'd', "DEVICE", "take connects on this RDMA device only, e.g. mlx5_0", "" },
	{ "clients", 'c', "N", "most clients at once (default 64)", "" },
	{ "verbose", 'v', NULL, "say when clients come and go", NULL },
	{ "listen", 'l', "HOST", "listen on this address or name only (repeatable)", "" },
	{ "key-file", 'k', "FILE", "keys of the clients (see emp-donor key add)", NULL },
	{ "no-authentication", 0, NULL, "take clients without a key too", NULL },
	{ "config", 'C', "FILE", "configuration file (default /etc/annex/emp-donor.conf)", NULL },
	{ "option", 'o', "KEY=VALUE", "any setting of the configuration file (repeatable)", "" },
	{ "socket", 's', "PATH", "control socket (default /run/emp-donor/control)", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt status_opts[] = {
	{ "json", 'j', NULL, "print JSON instead of text", NULL },
	{ "prometheus", 0, NULL, "print text for Prometheus", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_opt key_opts[] = {
	{ "quota", 'q', "SIZE", "most memory for the clients with this key", "" },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_cmd cmds[] = {
	{ "status", NULL, NULL, "Show what a running donor does", 0, 0, status_opts, run_status },
	{ "resize", NULL, "SIZE", "Give more or less memory from now on", 1, 1, NULL, run_resize },
	{ "reload", NULL, NULL, "Read configuration and keys again, as SIGHUP does", 0, 0, NULL,
	  run_reload },
	{ "drain", NULL, NULL, "Grant nothing more and ask for everything back", 0, 0, NULL,
	  run_drain },
	{ "key", "add", "FILE NAME", "Add a new random key to a key file", 2, 2, key_opts,
	  run_key_add },
	{ NULL, NULL, NULL, NULL, 0, 0, NULL, NULL }
};

static const struct ax_program program = {
	.name = "emp-donor",
	.summary = "Give memory of this machine to elastic-memory hosts over RDMA",
	.usage = "[OPTION]... [COMMAND]",
	.notes = "Without a command it serves clients until SIGTERM, in the foreground.\n"
		 "Example:\n"
		 "  emp-donor key add /etc/annex/donor.keys host1\n"
		 "  emp-donor -m 16384 -k /etc/annex/donor.keys",
	.opts = global_opts,
	.cmds = cmds,
	.run = run_daemon,
};

int main(int argc, char **argv)
{
	struct ax_args args;
	int ret;

	ret = ax_parse(&program, argc, argv, &args);
	if (ret >= 0)
		return ret;
	ret = args.cmd ? args.cmd->run(&args) : program.run(&args);
	if (fflush(stdout) && ret == AX_OK)
		return ax_error("cannot write: %s", strerror(errno));
	return ret;
}
