// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The same memory workload over several ways of having more memory than DRAM,
 * pass by pass in turn: A B C A B C ... Each peer is a process of its own that
 * keeps its memory from pass to pass. Around each pass the counters of the
 * kernel are read; what changed goes to --out, one number a line:
 *
 *	label,work,peer,variant,threads,round,metric,value
 *
 * and with --latency the nanoseconds of each access of a touch, one pass a
 * line. Nothing is dropped or averaged here (round 0 is warm-up, though, and
 * whoever reads the output leaves it out).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem_counter.h"
#include "mem_peer.h"

#define MAX_PEERS 8
#define MAX_VARIANTS 4

/* A peer, its process, and what is special to its passes. */
struct entry {
	struct peer peer;
	const char *dev, *net;		/* whose statistics are read */
	int variant[MAX_VARIANTS];	/* vm.page-cluster */
	unsigned int nr_variants;
	pid_t pid;
	int to, from;
};

static struct entry entries[MAX_PEERS];
static unsigned int nr_entries;
static struct mem_load load = { .work = WORK_TOUCH, .bytes = 32 << 20, .seed = 1 };
static uint32_t *latency;
static const char *label = "";
static FILE *out, *lat_out;

static const char *const work_names[] = { "touch", "rand", "seq", "zipf", "dirty", NULL };
static const char *const kind_names[] = { "emp", "anon", "trivial", "uffd", NULL };

static const char help[] =
	"Usage: memload [OPTION]... PEER...\n"
	"Run one memory workload over several kinds of memory, in turn.\n\n"
	"  --work WORK       touch, rand, seq, zipf or dirty (default touch)\n"
	"  --bytes N         size of the memory (default 32M)\n"
	"  --ops N           accesses a pass (default: one for each page)\n"
	"  --write PCT       percent of them that write (default 0)\n"
	"  --threads N,...   of each pass (default 1)\n"
	"  --rounds N        after the first, which is warm-up (default 5)\n"
	"  --seed N\n"
	"  --trace FILE      record numbers of zipf, 32 bit each\n"
	"  --label TEXT      first column of the output\n"
	"  --out FILE        append counters to FILE\n"
	"  --latency FILE    append the latencies of touch to FILE\n\n"
	"PEER: NAME=emp,path=FILE,sysfs=DIR[,dev=DISK][,net=DEVICE]\n"
	"      NAME=anon[,cgroup=DIR,max=BYTES][,pc=N+N...][,dev=DISK][,net=DEVICE]\n"
	"      NAME=trivial,path=FILE\n"
	"      NAME=uffd,path=DEVICE,mode=block|spin|same\n";

static void fail(const char *what, const char *which)
{
	fprintf(stderr, "memload: %s: %s\n", which, what);
	exit(1);
}

static int lookup(const char *const *names, const char *name)
{
	int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	fprintf(stderr, "memload: what is '%s'? See --help\n", name);
	exit(2);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t v = strtoull(text, &end, 0);

	if (*end == 'K' || *end == 'M' || *end == 'G')
		v <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 30, end++;
	if (end == text || *end) {
		fprintf(stderr, "memload: '%s' is no number\n", text);
		exit(2);
	}
	return v;
}

static void parse_peer(char *text)
{
	struct entry *e = &entries[nr_entries++];
	char *part, *value, *save, *n, *save_n;

	if (nr_entries > MAX_PEERS)
		fail("too many peers", text);
	part = strtok_r(text, ",", &save);
	value = strchr(part, '=');
	if (!value)
		fail("NAME=KIND is wanted", part);
	*value++ = '\0';
	e->peer.name = part;
	e->peer.kind = lookup(kind_names, value);
	while ((part = strtok_r(NULL, ",", &save))) {
		value = strchr(part, '=');
		if (!value)
			fail("KEY=VALUE is wanted", part);
		*value++ = '\0';
		if (!strcmp(part, "path"))
			e->peer.path = value;
		else if (!strcmp(part, "sysfs"))
			e->peer.sysfs = value;
		else if (!strcmp(part, "cgroup"))
			e->peer.cgroup = value;
		else if (!strcmp(part, "max"))
			e->peer.max = number(value);
		else if (!strcmp(part, "mode"))
			e->peer.mode = value;
		else if (!strcmp(part, "dev"))
			e->dev = value;
		else if (!strcmp(part, "net"))
			e->net = value;
		else if (!strcmp(part, "pc"))
			for (n = strtok_r(value, "+", &save_n); n && e->nr_variants < MAX_VARIANTS;
			     n = strtok_r(NULL, "+", &save_n))
				e->variant[e->nr_variants++] = number(n);
		else
			fail("unknown key", part);
	}
}

static void map_trace(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t *trace;
	size_t got = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) || st.st_size < 4)
		fail("cannot read", path);
	trace = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (trace == MAP_FAILED)
		fail("no memory", path);
	while (got < (size_t)st.st_size) {
		n = read(fd, (char *)trace + got, st.st_size - got);
		if (n <= 0)
			fail("cannot read", path);
		got += n;
	}
	close(fd);
	load.trace = trace;
	load.nr_trace = st.st_size / 4;
}

static void ask(struct entry *e, const struct pass_cmd *c, struct pass_result *r)
{
	if ((c && write(e->to, c, sizeof(*c)) != sizeof(*c)) ||
	    read(e->from, r, sizeof(*r)) != sizeof(*r))
		fail("the process is gone", e->peer.name);
}

static void start(struct entry *e)
{
	struct pass_result r;
	int to[2], from[2];

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		fail(strerror(errno), "pipe");
	e->pid = fork();
	if (e->pid < 0)
		fail(strerror(errno), "fork");
	if (!e->pid) {
		/* An end of a pipe that a sister holds too would never be seen closed. */
		for (struct entry *o = entries; o < e; o++)
			close(o->to);
		close(to[1]);
		peer_main(&e->peer, &load, latency, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	e->to = to[1];
	e->from = from[0];
	ask(e, NULL, &r);
}

static void page_cluster(int n)
{
	FILE *f = fopen("/proc/sys/vm/page-cluster", "we");

	if (!f || fprintf(f, "%d\n", n) < 0 || fclose(f))
		fail("cannot set it", "vm.page-cluster");
}

static void emit(struct entry *e, const char *variant, const struct pass_cmd *c,
		 const char *metric, uint64_t value)
{
	fprintf(out, "%s,%s,%s,%s,%u,%u,%s,%llu\n", label, work_names[load.work], e->peer.name,
		variant, c->threads, c->round, metric, (unsigned long long)value);
}

static void emit_latency(struct entry *e, const char *variant, const struct pass_cmd *c,
			 const struct pass_result *r)
{
	uint64_t i;

	fprintf(lat_out, "%s,%s,%s,%s,%u,%u:", label, work_names[load.work], e->peer.name, variant,
		c->threads, c->round);
	for (i = 0; i < r->ops; i++)
		fprintf(lat_out, " %u", latency[i]);
	fprintf(lat_out, "\n");
	fflush(lat_out);
}

static void pass(struct entry *e, unsigned int variant, struct pass_cmd c)
{
	struct counters before, after;
	struct pass_result r, cold;
	char name[16] = "-";

	if (e->nr_variants) {
		snprintf(name, sizeof(name), "pc%d", e->variant[variant]);
		page_cluster(e->variant[variant]);
	}
	c.step = 0;
	ask(e, &c, &cold);
	counters_read(&before, e->peer.sysfs, e->dev, e->net);
	c.step = 1;
	ask(e, &c, &r);
	if (load.work == WORK_DIRTY) {
		struct pass_result again;

		c.step = 2;
		ask(e, &c, &again);
		cold.warm += again.warm;
	}
	counters_read(&after, e->peer.sysfs, e->dev, e->net);

	emit(e, name, &c, "ns", r.ns);
	emit(e, name, &c, "ops", r.ops);
	emit(e, name, &c, "bad", r.bad);
	emit(e, name, &c, "warm", cold.warm);
	emit(e, name, &c, "distinct", r.distinct);
	emit(e, name, &c, "nvcsw", r.nvcsw);
	emit(e, name, &c, "nivcsw", r.nivcsw);
	emit(e, name, &c, "minflt", r.minflt);
	emit(e, name, &c, "majflt", r.majflt);
	for (unsigned int i = 0; i < after.nr && i < before.nr; i++)
		if (after.value[i] != before.value[i])
			emit(e, name, &c, after.name[i], after.value[i] - before.value[i]);
	if (lat_out && load.work == WORK_TOUCH && c.threads == 1)
		emit_latency(e, name, &c, &r);
	fflush(out);
	if (r.bad)
		fprintf(stderr, "memload: %s: %llu WRONG VALUES\n", e->peer.name,
			(unsigned long long)r.bad);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "work", required_argument, NULL, 'w' }, { "bytes", required_argument, NULL, 'b' },
		{ "ops", required_argument, NULL, 'n' }, { "write", required_argument, NULL, 'W' },
		{ "threads", required_argument, NULL, 't' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "trace", required_argument, NULL, 'T' },
		{ "label", required_argument, NULL, 'l' },
		{ "out", required_argument, NULL, 'o' },
		{ "latency", required_argument, NULL, 'L' },
		{ "help", no_argument, NULL, 'h' }, { }
	};
	unsigned int threads[4] = { 1 }, nr_threads = 1, rounds = 5, round, i, t, v;
	char *n;
	int o;

	out = stdout;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (o) {
		case 'w':
			load.work = lookup(work_names, optarg);
			break;
		case 'b':
			load.bytes = number(optarg);
			break;
		case 'n':
			load.ops = number(optarg);
			break;
		case 'W':
			load.write_pct = number(optarg);
			break;
		case 't':
			nr_threads = 0;
			for (n = strtok(optarg, ","); n && nr_threads < 4; n = strtok(NULL, ","))
				threads[nr_threads++] = number(n);
			break;
		case 'r':
			rounds = number(optarg);
			break;
		case 's':
			load.seed = number(optarg);
			break;
		case 'T':
			map_trace(optarg);
			break;
		case 'l':
			label = optarg;
			break;
		case 'o':
			out = fopen(optarg, "ae");
			break;
		case 'L':
			lat_out = fopen(optarg, "ae");
			if (!lat_out)
				fail(strerror(errno), optarg);
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			fputs(help, stderr);
			return 2;
		}
	}
	if (!out)
		fail(strerror(errno), "--out");
	if (optind == argc || load.bytes % PAGE || !load.bytes ||
	    (load.work == WORK_ZIPF && !load.trace)) {
		fputs(help, stderr);
		return 2;
	}
	if (!load.ops)
		load.ops = load.bytes / PAGE;
	signal(SIGPIPE, SIG_IGN);
	latency = mmap(NULL, load.bytes / PAGE * sizeof(*latency), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (latency == MAP_FAILED)
		fail("no memory", "latencies");
	for (; optind < argc; optind++)
		parse_peer(argv[optind]);
	for (i = 0; i < nr_entries; i++)
		start(&entries[i]);
	for (round = 0; round <= rounds; round++) {
		for (t = 0; t < nr_threads; t++) {
			for (i = 0; i < nr_entries; i++) {
				struct pass_cmd c = { .round = round, .threads = threads[t],
						      .write_pct = load.write_pct };

				for (v = 0; v < (entries[i].nr_variants ?: 1); v++)
					pass(&entries[i], v, c);
			}
		}
	}
	for (i = 0; i < nr_entries; i++) {
		close(entries[i].to);
		waitpid(entries[i].pid, NULL, 0);
	}
	if (lat_out && fclose(lat_out))
		fail(strerror(errno), "--latency");
	return 0;
}
