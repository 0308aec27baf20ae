// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio collect: a log of the translations of tenants that do real traffic.
 *
 * It boots the lab's L1 with stock QEMU's intel-iommu and one network device a
 * tenant behind it, lets collect-guest.sh do the traffic there, and keeps what
 * QEMU's trace events say. They come through a FIFO and go into a compressed file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zstd.h>

#include "hs_log.h"
#include "hypersio.h"

#define TENANTS_MAX 16		/* slots that L1's bus has left */
#define GUEST "userspace-tools/hypersio/collect-guest.sh"
#define LEVEL 9

static const struct test {
	const char *name, *program;
} tests[] = {
	{ "iperf3", "iperf3" }, { "sockperf", "sockperf" }, { "http", "wrk" },
};

static const struct nic {
	const char *name, *device;
} nics[] = {
	{ "e1000", "e1000" }, { "e1000e", "e1000e" },
	{ "virtio", "virtio-net-pci,iommu_platform=on,disable-legacy=on" },
};

struct collect {
	const struct test *test;
	const struct nic *nic;
	const char *out;
	uint64_t tenants, seconds, limit;
	bool strict;
	char *lab, *guest, *fifo, *log, *part, *said;
	char **argv;
	size_t argc;
	/* the log */
	FILE *file;
	ZSTD_CStream *zstd;
	char *packed;
	char buf[64 << 10];
	size_t have;
	uint64_t accesses;
	bool full;	/* there are limit of them */
};

static bool add(struct collect *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool add(struct collect *c, const char *fmt, ...)
{
	char **more = realloc(c->argv, (c->argc + 2) * sizeof(*more));
	va_list ap;
	int n;

	if (!more)
		return false;
	c->argv = more;
	va_start(ap, fmt);
	n = vasprintf(&c->argv[c->argc], fmt, ap);
	va_end(ap);
	if (n < 0)
		return false;
	c->argv[++c->argc] = NULL;
	return true;
}

static bool add_qemu(struct collect *c, const char *option, const char *value)
{
	return add(c, "--qemu-arg") && add(c, "%s", option) && add(c, "--qemu-arg") &&
	       add(c, "%s", value);
}

static bool add_nics(struct collect *c)
{
	char value[256];

	for (unsigned int i = 0; i < c->tenants; i++) {
		snprintf(value, sizeof(value), "hubport,id=tenant%u,hubid=%u", i, i);
		if (!add_qemu(c, "-netdev", value))
			return false;
		snprintf(value, sizeof(value), "%s,netdev=tenant%u,mac=52:54:00:aa:00:%02x",
			 c->nic->device, i, i);
		if (!add_qemu(c, "-device", value))
			return false;
		snprintf(value, sizeof(value), "hubport,id=client%u,hubid=%u", i, i);
		if (!add_qemu(c, "-netdev", value))
			return false;
		snprintf(value, sizeof(value),
			 "virtio-net-pci,netdev=client%u,mac=52:54:00:bb:00:%02x,addr=%#x.%u,multifunction=on",
			 i, i, 0x1d + i / 8, i % 8);
		if (!add_qemu(c, "-device", value))
			return false;
	}
	return true;
}

/*
 * Without remapping of interrupts and the check of the timer, which a slow TCG does
 * not always pass.
 */
static bool command(struct collect *c)
{
	static const char *const events[] = {
		"vtd_iotlb_page_hit", "vtd_iotlb_page_update", "vtd_iotlb_cc_update",
		"vtd_dmar_translate", "vtd_inv_desc_iotlb_pages", "vtd_inv_desc_iotlb_domain",
	};
	char value[64];

	if (!add(c, "%s", c->lab) || !add(c, "run") || !add(c, "--name") ||
	    !add(c, "hypersio-collect") || !add(c, "--timeout") ||
	    !add(c, "%llu", (unsigned long long)(240 + 2 * c->seconds)) || !add(c, "--append") ||
	    !add(c, "intel_iommu=on iommu.strict=%d no_timer_check", c->strict) ||
	    !add_qemu(c, "-device", "intel-iommu,intremap=off") || !add_nics(c))
		return false;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		snprintf(value, sizeof(value), "enable=%s", events[i]);
		if (!add_qemu(c, "-trace", value))
			return false;
	}
	return add_qemu(c, "-msg", "timestamp=on") && add_qemu(c, "-D", c->fifo) && add(c, "--") &&
	       add(c, "%s", c->guest) && add(c, "%s", c->test->name) &&
	       add(c, "%llu", (unsigned long long)c->tenants) &&
	       add(c, "%llu", (unsigned long long)c->seconds);
}

/* The lab is in the repository: above this program, or above where we are. */
static int find_lab(struct collect *c, const char *given)
{
	char path[PATH_MAX], *slash;

	if (given) {
		c->lab = realpath(given, NULL);
		if (!c->lab)
			return ax_error("--lab %s: %s", given, strerror(errno));
	}
	for (int where = 0; where < 2 && !c->lab; where++) {
		ssize_t n = where ? -1 : readlink("/proc/self/exe", path, sizeof(path) - 1);

		if (n > 0)
			path[n] = '\0';
		else if (!getcwd(path, sizeof(path) - 1))
			continue;
		if (where)
			strcat(path, "/");
		while (!c->lab && (slash = strrchr(path, '/'))) {
			char *lab;

			*slash = '\0';
			if (asprintf(&lab, "%s/tests/lab/lab", path) < 0)
				return ax_error("out of memory");
			if (!access(lab, X_OK))
				c->lab = lab;
			else
				free(lab);
		}
	}
	if (!c->lab)
		return ax_error("collect needs the lab: run it in the repository, or --lab DIR/tests/lab/lab");
	if (asprintf(&c->guest, "%.*s/../../" GUEST, (int)(strrchr(c->lab, '/') - c->lab),
		     c->lab) < 0)
		return ax_error("out of memory");
	slash = realpath(c->guest, NULL);
	if (!slash)
		return ax_error("%s: %s", c->guest, strerror(errno));
	free(c->guest);
	c->guest = slash;
	return AX_OK;
}

static int find_program(const char *name)
{
	const char *path = getenv("PATH");
	char *copy = strdup(path ? path : "/usr/bin:/bin"), *save;
	bool found = false;

	for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir && !found;
	     dir = strtok_r(NULL, ":", &save)) {
		char file[PATH_MAX];

		snprintf(file, sizeof(file), "%s/%s", dir, name);
		found = !access(file, X_OK);
	}
	free(copy);
	return found ? AX_OK : ax_error("%s is missing: apt-get install %s", name, name);
}

/* The names of the files: OUT/TEST_tenants_N_K.log.zst with the first K that is free. */
static int make_names(struct collect *c)
{
	char *dir, *slash;

	if (mkdir(c->out, 0777) && errno != EEXIST)
		return ax_error("cannot make %s: %s", c->out, strerror(errno));
	dir = realpath(c->out, NULL);
	if (!dir)
		return ax_error("%s: %s", c->out, strerror(errno));
	for (int k = 0; k < 10000 && !c->log; k++) {
		if (asprintf(&c->log, "%s/%s_tenants_%llu_%d.log.zst", dir, c->test->name,
			     (unsigned long long)c->tenants, k) < 0)
			return ax_error("out of memory");
		if (!access(c->log, F_OK)) {
			free(c->log);
			c->log = NULL;
		}
	}
	if (!c->log)
		return ax_error("%s is full of logs", c->out);
	slash = strrchr(c->log, '/');
	if (asprintf(&c->part, "%s.part", c->log) < 0 ||
	    asprintf(&c->said, "%.*s.txt", (int)strlen(c->log) - 8, c->log) < 0 ||
	    asprintf(&c->fifo, "%s/.fifo-%d-%s", dir, (int)getpid(), slash + 1) < 0)
		return ax_error("out of memory");
	free(dir);
	if (mkfifo(c->fifo, 0600))
		return ax_error("cannot make %s: %s", c->fifo, strerror(errno));
	return AX_OK;
}

static int open_log(struct collect *c)
{
	c->file = fopen(c->part, "we");
	if (!c->file)
		return ax_error("cannot write %s: %s", c->part, strerror(errno));
	c->zstd = ZSTD_createCStream();
	c->packed = malloc(ZSTD_CStreamOutSize());
	if (!c->zstd || !c->packed)
		return ax_error("out of memory");
	ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1);
	return AX_OK;
}

static int pack(struct collect *c, const char *text, size_t len, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = { text, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { c->packed, ZSTD_CStreamOutSize(), 0 };

		left = ZSTD_compressStream2(c->zstd, &out, &in, end);
		if (ZSTD_isError(left))
			return ax_error("cannot compress: %s", ZSTD_getErrorName(left));
		if (fwrite(out.dst, 1, out.pos, c->file) != out.pos)
			return ax_error("cannot write %s: %s", c->part, strerror(errno));
	} while (end == ZSTD_e_end ? left : in.pos < in.size);
	return AX_OK;
}

/* Keep the lines about translations. */
static int take_lines(struct collect *c)
{
	const char *at = c->buf, *end = c->buf + c->have, *nl;
	struct hs_log_event event;

	while ((nl = memchr(at, '\n', end - at))) {
		hs_log_parse(at, nl - at, &event);
		if (event.kind == HS_LOG_ACCESS && c->accesses == c->limit)
			c->full = true;
		c->accesses += event.kind == HS_LOG_ACCESS && !c->full;
		if (event.kind != HS_LOG_NONE && !c->full &&
		    pack(c, at, nl + 1 - at, ZSTD_e_continue))
			return AX_FAIL;
		at = nl + 1;
	}
	c->have = end - at;
	if (c->have == sizeof(c->buf))	/* no line of ours is that long */
		c->have = 0;
	memmove(c->buf, at, c->have);
	return AX_OK;
}

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static pid_t start(struct collect *c)
{
	pid_t pid = fork();

	if (!pid) {
		int fd = open(c->said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
			_exit(127);
		execv(c->argv[0], c->argv);
		_exit(127);
	}
	return pid;
}

/*
 * Read what QEMU writes until the lab has ended. Its end of the FIFO is held open
 * here too, so that a QEMU that the lab starts anew goes on with the same log.
 */
static int run(struct collect *c)
{
	int in = open(c->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int hold = open(c->fifo, O_WRONLY | O_CLOEXEC);
	struct pollfd fd = { .fd = in, .events = POLLIN };
	int status = 0, ret = AX_OK;
	bool ended = false;
	pid_t pid;

	if (in < 0 || hold < 0)
		return ax_error("%s: %s", c->fifo, strerror(errno));
	pid = start(c);
	if (pid < 0)
		return ax_error("cannot start the lab: %s", strerror(errno));
	while (!ret) {
		ssize_t n;

		if (interrupted && !ended)
			kill(pid, SIGTERM);
		if (poll(&fd, 1, ended ? 0 : 200) <= 0) {
			if (ended)
				break;
			ended = waitpid(pid, &status, WNOHANG) == pid;
			continue;
		}
		n = read(in, c->buf + c->have, sizeof(c->buf) - c->have);
		if (n > 0) {
			c->have += n;
			ret = take_lines(c);
		}
	}
	if (!ended) {
		kill(pid, SIGTERM);
		waitpid(pid, &status, 0);
	}
	close(in);
	close(hold);
	if (!ret && (!WIFEXITED(status) || WEXITSTATUS(status)))
		ret = ax_error("the lab's run failed (status %d): what it said is in %s",
			       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
			       c->said);
	return ret;
}

static int finish(struct collect *c)
{
	int ret = pack(c, NULL, 0, ZSTD_e_end);
	FILE *file = c->file;

	c->file = NULL;
	if (fclose(file) && !ret)
		ret = ax_error("cannot write %s: %s", c->part, strerror(errno));
	if (ret)
		return ret;
	if (!c->accesses)
		return ax_error("QEMU reported no translation (is it one with trace events in its log?)");
	if (rename(c->part, c->log))
		return ax_error("cannot write %s: %s", c->log, strerror(errno));
	printf("%s: %llu translations\n", c->log, (unsigned long long)c->accesses);
	return AX_OK;
}

static int read_options(struct collect *c, const struct ax_args *args)
{
	const char *test = ax_value(args, "test"), *nic = ax_value(args, "nic");

	c->out = ax_value(args, "out");
	if (!c->out || !*c->out)
		return ax_usage("where do logs go? --out DIR");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (!strcmp(test ? test : "iperf3", tests[i].name))
			c->test = &tests[i];
	}
	for (size_t i = 0; i < sizeof(nics) / sizeof(nics[0]); i++) {
		if (!strcmp(nic ? nic : "e1000", nics[i].name))
			c->nic = &nics[i];
	}
	if (!c->test)
		return ax_usage("--test: '%s' is none of iperf3, sockperf, http", test);
	if (!c->nic)
		return ax_usage("--nic: '%s' is none of e1000, e1000e, virtio", nic);
	if (!ax_number(args, "tenants", 1, TENANTS_MAX, 2, &c->tenants) ||
	    !ax_number(args, "time", 1, 3600, 3, &c->seconds) ||
	    !ax_number(args, "limit", 1, UINT64_MAX, UINT64_MAX, &c->limit))
		return AX_USAGE;
	c->strict = ax_has(args, "strict");
	return AX_OK;
}

static void release(struct collect *c)
{
	if (c->fifo)
		unlink(c->fifo);
	if (c->file)
		fclose(c->file);
	if (c->part)
		unlink(c->part);	/* gone already when all went well */
	ZSTD_freeCStream(c->zstd);
	for (size_t i = 0; i < c->argc; i++)
		free(c->argv[i]);
	free(c->argv);
	free(c->packed);
	free(c->lab);
	free(c->guest);
	free(c->fifo);
	free(c->log);
	free(c->part);
	free(c->said);
	free(c);
}

int hypersio_collect(const struct ax_args *args)
{
	const struct sigaction action = { .sa_handler = on_signal };
	struct collect *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return ax_error("out of memory");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	ret = read_options(c, args);
	if (!ret)
		ret = find_program(c->test->program);
	if (!ret)
		ret = find_program("qemu-system-x86_64");
	if (!ret)
		ret = find_lab(c, ax_value(args, "lab"));
	if (!ret)
		ret = make_names(c);
	if (!ret)
		ret = open_log(c);
	if (!ret && !command(c))
		ret = ax_error("out of memory");
	if (!ret)
		ret = run(c);
	if (!ret)
		ret = finish(c);
	release(c);
	return ret;
}
