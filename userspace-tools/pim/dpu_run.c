// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dpu-run: load a DPU program into a rank, give it data, run it, fetch results.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/ax_opt.h"
#include "pim_host.h"

static const struct ax_opt opts[] = {
	{ "dpus", 'n', "COUNT", "DPUs to use, 1 to 64 (default: 1)", "" },
	{ "rank", 'r', "DEVICE", "a rank's device node (default: a software rank)", NULL },
	{ "threads", 't', "COUNT", "processors for a software rank (default: all)", "" },
	{ "set", 's', "SYMBOL=NUMBER", "write a number into a variable of all DPUs", "" },
	{ "in", 'i', "SYMBOL=FILE", "write a file into a variable; %d in FILE is the DPU", "" },
	{ "out", 'o', "SYMBOL=FILE", "read a variable into a file afterwards; %d as above", "" },
	{ "print", 'p', "SYMBOL", "print a variable of each DPU afterwards, as numbers", "" },
	{ "log", 'l', NULL, "print what the program printed (SDK programs)", NULL },
	{ "launches", 'L', "COUNT", "run it that often (default: 1)", "" },
	{ "timeout", 'T', "SECONDS", "give up when it runs longer (default: 60; 0: never)", "" },
	{ "stats", 'S', NULL, "print times and counts afterwards", NULL },
	{ NULL, 0, NULL, NULL, NULL }
};

static const struct ax_program program = {
	.name = "dpu-run",
	.summary = "Run a program for UPMEM DPUs on a software rank or a device",
	.usage = "[OPTION]... PROGRAM",
	.notes = "SYMBOL is NAME[+OFFSET][:SIZE], in bytes. What is given more than once is done in order.\n"
		 "Example:\n"
		 "  dpu-run -n 64 -s nr_blocks=8 -i a:8192=a.%d -o sum:8192=sum.%d -p checksum vadd.dpu\n"
		 "Exit status: 1 also when a DPU was in fault.",
	.opts = opts,
};

struct run {
	const struct ax_args *args;
	struct pim_program program;
	struct pim_backend backend;
	struct pim_host host;
	uint64_t load_ns, run_ns;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- options ------------------------------------------------------------------- */

/* A number from @least to @most; -1 after a message. */
static int64_t option(const struct ax_args *args, const char *name, int64_t standard, int64_t least,
		      int64_t most)
{
	const char *text = ax_value(args, name);
	long long value;
	char *end;

	if (!text)
		return standard;
	errno = 0;
	value = strtoll(text, &end, 0);
	if (errno || *end || end == text || value < least || value > most) {
		ax_usage("--%s takes a number from %" PRId64 " to %" PRId64 ", not '%s'", name,
			 least, most, text);
		return -1;
	}
	return value;
}

/* NAME[+OFFSET][:SIZE]. 0, or an exit status. */
static int find_symbol(struct run *r, const char *text, size_t length,
		       const struct pim_symbol **symbol, uint32_t *offset, uint32_t *size)
{
	char name[256];
	char *plus, *colon, *end;
	unsigned long value;

	if (length >= sizeof(name))
		return ax_usage("the symbol's name is too long");
	memcpy(name, text, length);
	name[length] = '\0';
	*offset = 0;
	*size = 0;
	colon = strrchr(name, ':');
	if (colon) {
		*colon = '\0';
		value = strtoul(colon + 1, &end, 0);
		if (*end || end == colon + 1 || !value || value > PIM_MRAM_SIZE)
			return ax_usage("'%s' is no size", colon + 1);
		*size = (uint32_t)value;
	}
	plus = strrchr(name, '+');
	if (plus) {
		*plus = '\0';
		value = strtoul(plus + 1, &end, 0);
		if (*end || end == plus + 1 || value > PIM_MRAM_SIZE)
			return ax_usage("'%s' is no offset", plus + 1);
		*offset = (uint32_t)value;
	}
	*symbol = pim_program_symbol(&r->program, name);
	if (*symbol)
		return 0;
	return ax_error("the program has no symbol '%s' (dpu-dis --symbols lists them)", name);
}

/* The name of a DPU's file; false: it has none, all share one. */
static bool file_name(const char *pattern, unsigned int dpu, char name[4096])
{
	const char *mark = strstr(pattern, "%d");

	if (!mark) {
		snprintf(name, 4096, "%s", pattern);
		return false;
	}
	snprintf(name, 4096, "%.*s%u%s", (int)(mark - pattern), pattern, dpu, mark + 2);
	return true;
}

/* --- data in ------------------------------------------------------------------------ */

static int set_symbol(struct run *r, const char *text)
{
	const char *equal = strchr(text, '=');
	const struct pim_symbol *s;
	uint32_t offset, size;
	struct ax_msg msg;
	long long value;
	char *end;
	int status;

	if (!equal)
		return ax_usage("--set takes SYMBOL=NUMBER, not '%s'", text);
	errno = 0;
	value = strtoll(equal + 1, &end, 0);
	if (errno == ERANGE)
		value = (long long)strtoull(equal + 1, &end, 0);
	if (*end || end == equal + 1)
		return ax_usage("--set: '%s' is no number", equal + 1);
	status = find_symbol(r, text, (size_t)(equal - text), &s, &offset, &size);
	if (status)
		return status;
	if (!size)
		size = s->size - offset == 8 ? 8 : s->size - offset < 4 ? s->size - offset : 4;
	if (!size || size > 8)
		return ax_error("--set: a number has 1 to 8 bytes, not %u", size);
	for (unsigned int n = 0; n < r->host.nr_dpus; n++) {
		if (pim_host_symbol_write(&r->host, n, s, offset, &value, size, &msg))
			return ax_error("%s", msg.text);
	}
	return 0;
}

/* All of a file; NULL after a message. */
static uint8_t *read_file(const char *name, uint32_t *size)
{
	FILE *file = fopen(name, "rb");
	uint8_t *bytes = NULL;
	struct stat st;

	if (!file || fstat(fileno(file), &st)) {
		ax_error("%s: %s", name, strerror(errno));
	} else if (st.st_size > PIM_MRAM_SIZE || !st.st_size) {
		ax_error("%s: a file of 1 byte to %u MiB was expected", name, PIM_MRAM_SIZE >> 20);
	} else {
		*size = (uint32_t)st.st_size;
		bytes = malloc(*size);
		if (!bytes || fread(bytes, 1, *size, file) != *size) {
			ax_error("%s: cannot be read", name);
			free(bytes);
			bytes = NULL;
		}
	}
	if (file)
		fclose(file);
	return bytes;
}

/* One transfer for all DPUs when they take the same amount, as the SDK does. */
static int write_all(struct run *r, const struct pim_symbol *s, uint32_t offset,
		     uint8_t *const *bytes, const uint32_t *sizes)
{
	const void *all[PIM_RANK_NR_DPUS] = { NULL };
	bool same = true;
	uint32_t at;
	struct ax_msg msg;

	for (unsigned int n = 0; n < r->host.nr_dpus; n++) {
		same = same && sizes[n] == sizes[0];
		all[n] = bytes[n];
	}
	if (same && pim_elf_space(s->value, &at) == PIM_SPACE_MRAM &&
	    (uint64_t)at + offset + sizes[0] <= PIM_MRAM_SIZE) {
		if (pim_host_mram_write(&r->host, at + offset, all, sizes[0], &msg))
			return ax_error("%s", msg.text);
		return 0;
	}
	for (unsigned int n = 0; n < r->host.nr_dpus; n++) {
		if (pim_host_symbol_write(&r->host, n, s, offset, bytes[n], sizes[n], &msg))
			return ax_error("%s", msg.text);
	}
	return 0;
}

static int in_file(struct run *r, const char *text)
{
	uint8_t *bytes[PIM_RANK_NR_DPUS] = { NULL };
	uint32_t sizes[PIM_RANK_NR_DPUS];
	const char *equal = strchr(text, '=');
	const struct pim_symbol *s;
	uint32_t offset, size;
	char name[4096];
	bool own = false;
	int status;

	if (!equal || !equal[1])
		return ax_usage("--in takes SYMBOL=FILE, not '%s'", text);
	status = find_symbol(r, text, (size_t)(equal - text), &s, &offset, &size);
	for (unsigned int n = 0; n < r->host.nr_dpus && !status; n++) {
		own = file_name(equal + 1, n, name);
		if (n && !own) {
			bytes[n] = bytes[0];
			sizes[n] = sizes[0];
			continue;
		}
		bytes[n] = read_file(name, &sizes[n]);
		if (!bytes[n])
			status = AX_FAIL;
		else if (size && sizes[n] != size)
			status = ax_error("%s: %u bytes, but %u are asked for", name, sizes[n],
					  size);
	}
	if (!status)
		status = write_all(r, s, offset, bytes, sizes);
	for (unsigned int n = 0; n < r->host.nr_dpus; n++) {
		if (own || !n)
			free(bytes[n]);
	}
	return status;
}

/* --- data out ------------------------------------------------------------------------- */

static int fetch(struct run *r, unsigned int n, const struct pim_symbol *s, uint32_t offset,
		 uint32_t size, uint8_t **bytes, uint32_t *got)
{
	struct ax_msg msg;

	*got = size ? size : s->size > offset ? s->size - offset : 0;
	if (!*got)
		return ax_error("'%s' has no size of its own there: write %s:SIZE", s->name,
				s->name);
	*bytes = malloc(*got);
	if (!*bytes)
		return ax_error("out of memory");
	if (!pim_host_symbol_read(&r->host, n, s, offset, *bytes, *got, &msg))
		return 0;
	free(*bytes);
	return ax_error("%s", msg.text);
}

static int out_file(struct run *r, const char *text)
{
	const char *equal = strchr(text, '=');
	const struct pim_symbol *s;
	uint32_t offset, size, got;
	char name[4096];
	int status;

	if (!equal || !equal[1])
		return ax_usage("--out takes SYMBOL=FILE, not '%s'", text);
	status = find_symbol(r, text, (size_t)(equal - text), &s, &offset, &size);
	for (unsigned int n = 0; n < r->host.nr_dpus && !status; n++) {
		uint8_t *bytes;
		FILE *file;
		bool own, bad;

		status = fetch(r, n, s, offset, size, &bytes, &got);
		if (status)
			break;
		own = file_name(equal + 1, n, name);
		/* with one file for all, they stand in it one after the other */
		file = fopen(name, n && !own ? "ab" : "wb");
		bad = !file || fwrite(bytes, 1, got, file) != got;
		if (file)
			bad |= fclose(file);
		free(bytes);
		if (bad)
			status = ax_error("%s: %s", name, strerror(errno));
	}
	return status;
}

static int print_symbol(struct run *r, const char *text)
{
	const struct pim_symbol *s;
	uint32_t offset, size, got;
	int status = find_symbol(r, text, strlen(text), &s, &offset, &size);

	for (unsigned int n = 0; n < r->host.nr_dpus && !status; n++) {
		uint32_t unit;
		uint8_t *bytes;

		status = fetch(r, n, s, offset, size, &bytes, &got);
		if (status)
			break;
		unit = got == 8 ? 8 : got % 4 ? 1 : 4;
		printf("dpu %u: %s", n, text);
		for (uint32_t k = 0; k + unit <= got; k += unit) {
			uint64_t value = 0;

			memcpy(&value, bytes + k, unit);
			printf(" %" PRIu64, value);
		}
		putchar('\n');
		free(bytes);
	}
	return status;
}

/* --- running ---------------------------------------------------------------------------- */

static int report_faults(struct run *r, uint64_t faults)
{
	for (unsigned int n = 0; n < r->host.nr_dpus; n++) {
		struct pim_host_fault f;
		struct ax_msg msg;

		if (!(faults >> n & 1))
			continue;
		if (pim_host_fault(&r->host, n, &f, &msg))
			return ax_error("%s", msg.text);
		if (f.number != ~0u)
			ax_error("DPU %u: breakpoint %u at instruction %u, thread %u", n, f.number,
				 f.pc, f.thread);
		else
			ax_error("DPU %u: %s fault at instruction %u, thread %u", n,
				 f.kind == PIM_FAULT_MEMORY ? "memory" :
				 f.kind == PIM_FAULT_DMA ? "DMA" : "illegal instruction or other",
				 f.pc, f.thread);
	}
	return AX_FAIL;
}

static int launch(struct run *r)
{
	int64_t timeout = option(r->args, "timeout", 60, 0, 1000000);
	int64_t launches = option(r->args, "launches", 1, 1, 1000000);
	uint64_t faults, start;
	struct ax_msg msg;

	if (timeout < 0 || launches < 0)
		return AX_USAGE;
	for (int64_t n = 0; n < launches; n++) {
		start = now_ns();
		if (pim_host_launch(&r->host, &msg) ||
		    pim_host_wait(&r->host, (uint64_t)timeout * 1000, &faults, &msg))
			return ax_error("%s", msg.text);
		r->run_ns += now_ns() - start;
		if (faults)
			return report_faults(r, faults);
	}
	return 0;
}

static int print_logs(struct run *r)
{
	for (unsigned int n = 0; n < r->host.nr_dpus; n++) {
		struct ax_msg msg;
		int status;

		if (r->host.nr_dpus > 1)
			printf("=== dpu %u ===\n", n);
		status = pim_host_print_log(&r->host, n, &r->program, stdout, &msg);
		if (status < 0)
			return ax_error("%s", msg.text);
		if (status)
			return ax_error("the program has no log: no symbol __stdout_buffer");
	}
	return 0;
}

static void print_stats(struct run *r)
{
	struct pim_rank_stats s;

	printf("load and reset: %.3f ms, run: %.3f ms; commits %" PRIu64 ", updates %" PRIu64
	       ", transfers %" PRIu64 "\n",
	       (double)r->load_ns / 1e6, (double)r->run_ns / 1e6, r->backend.counts[0],
	       r->backend.counts[1], r->backend.counts[2] + r->backend.counts[3]);
	if (!r->backend.rank)
		return;
	pim_rank_stats(r->backend.rank, &s);
	printf("instructions %" PRIu64 " in %.3f ms of threads, %.1f million instructions a second\n",
	       s.instructions, (double)s.run_ns / 1e6,
	       s.run_ns ? (double)s.instructions * 1e3 / (double)s.run_ns : 0);
	printf("MRAM used: %" PRIu64 " KiB\n", s.mram_used >> 10);
}

/* What stands on the command line, in order, of one kind or the other. */
static int do_options(struct run *r, bool before)
{
	static const struct {
		const char *name;
		bool before;
		int (*run)(struct run *r, const char *text);
	} steps[] = {
		{ "set", true, set_symbol }, { "in", true, in_file },
		{ "out", false, out_file }, { "print", false, print_symbol },
	};
	int status = 0;

	for (unsigned int n = 0; n < r->args->nr_given && !status; n++) {
		for (unsigned int k = 0; k < sizeof(steps) / sizeof(steps[0]) && !status; k++) {
			if (steps[k].before == before &&
			    !strcmp(steps[k].name, r->args->given[n].opt->name))
				status = steps[k].run(r, r->args->given[n].value);
		}
	}
	return status;
}

static int open_rank(struct run *r)
{
	const char *device = ax_value(r->args, "rank");
	int64_t threads = option(r->args, "threads", 0, 1, 1024);
	struct pim_rank_config config = { .threads = threads > 0 ? (unsigned int)threads : 0 };
	struct ax_msg msg;

	if (threads < 0)
		return AX_USAGE;
	if (device ? pim_backend_device(&r->backend, device, NULL, &msg) :
	    pim_backend_emulator(&r->backend, &config, &msg))
		return ax_error("%s", msg.text);
	return 0;
}

static int run(struct run *r)
{
	int64_t dpus = option(r->args, "dpus", 1, 1, PIM_RANK_NR_DPUS);
	uint64_t start;
	struct ax_msg msg;
	int status;

	if (dpus < 0)
		return AX_USAGE;
	if (pim_elf_open(r->args->argv[0], &r->program, &msg))
		return ax_error("%s", msg.text);
	status = open_rank(r);
	if (status)
		return status;
	start = now_ns();
	if (pim_host_reset(&r->host, &r->backend, (unsigned int)dpus, &msg) ||
	    pim_host_load(&r->host, &r->program, &msg))
		return ax_error("%s", msg.text);
	r->load_ns = now_ns() - start;
	status = do_options(r, true);
	if (!status)
		status = launch(r);
	/* what it printed before it failed, too; but one message is enough */
	if (ax_has(r->args, "log") && status != AX_USAGE &&
	    (!status || pim_program_symbol(&r->program, "__stdout_buffer")) && print_logs(r))
		status = AX_FAIL;
	if (!status)
		status = do_options(r, false);
	if (ax_has(r->args, "stats"))
		print_stats(r);
	return status;
}

int main(int argc, char **argv)
{
	struct run r = { 0 };
	struct ax_args args;
	int status;

	ax_set_prog(program.name);
	status = ax_parse(&program, argc, argv, &args);
	if (status >= 0)
		return status;
	if (args.argc != 1)
		return ax_usage("one program was expected; see dpu-run --help");
	r.args = &args;
	status = run(&r);
	pim_backend_close(&r.backend);
	pim_program_free(&r.program);
	return status;
}
