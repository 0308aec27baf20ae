// SPDX-License-Identifier: GPL-2.0-or-later
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "emp_qemu_args.h"
#include "emp_spec.h"

/*
 * QEMU's options without an argument, 4.2 to 10.0; every other word that begins
 * with a dash takes the next one, whatever that looks like.
 */
static const char *const bare[] = {
	"S", "alt-grab", "ctrl-grab", "curses", "daemonize", "enable-fips", "enable-kvm",
	"enable-sync-profile", "full-screen", "h", "help", "jitdump", "mem-prealloc", "no-acpi",
	"no-fd-bootchk", "no-frame", "no-hpet", "no-quit", "no-reboot", "no-shutdown",
	"no-user-config", "nodefaults", "nographic", "old-param", "only-migratable", "perfmap",
	"portrait", "preconfig", "s", "sdl", "semihosting", "singlestep", "snapshot", "usb",
	"version", "win2k-hack", "xen-attach", "xen-domid-restrict", NULL
};

/* The name of an option, which QEMU takes with one dash or two; else NULL. */
static const char *option(const char *word)
{
	if (word[0] != '-' || !word[1])
		return NULL;
	return word[1] == '-' ? word + 2 : word + 1;
}

static bool takes_argument(const char *name)
{
	for (const char *const *b = bare; *b; b++) {
		if (!strcmp(*b, name))
			return false;
	}
	return true;
}

/*
 * The next "key=value" of a QEMU option list; ",," stands for a comma. @implied
 * is the key of a first part without one. False at the end.
 */
static bool next_part(const char **at, const char *implied, char *key, char *value, size_t size)
{
	char part[1024];
	const char *from = *at;
	char *equals;
	size_t n = 0;

	if (!*from)
		return false;
	for (; *from; from++) {
		if (*from == ',') {
			if (from[1] != ',')
				break;
			from++;
		}
		if (n < sizeof(part) - 1)
			part[n++] = *from;
	}
	part[n] = '\0';
	*at = *from ? from + 1 : from;
	equals = strchr(part, '=');
	if (equals)
		*equals++ = '\0';
	if (equals || !implied) {	/* a key alone means "on" */
		snprintf(key, size, "%.*s", (int)size - 1, part);
		snprintf(value, size, "%.*s", (int)size - 1, equals ? equals : "on");
	} else {
		snprintf(key, size, "%s", implied);
		snprintf(value, size, "%.*s", (int)size - 1, part);
	}
	return true;
}

#define PART 256

/* "4G", "1.5G", "4096" (MiB): as QEMU reads -m. 0 leaves the default. */
static int ram_size(const char *text, uint64_t unit, uint64_t *ram, struct ax_msg *msg)
{
	char number[PART];
	const char *dot = strchr(text, '.');
	size_t len = strlen(text);
	uint64_t bytes = 0;
	double fraction = 0;
	int ret;

	if (!len)
		return 0;
	if (dot) {
		char *end;

		/* only with a suffix: QEMU takes no parts of a byte */
		fraction = strtod(dot, &end);
		if (end == dot + 1 || end[0] == '\0' || end[1] != '\0')
			goto bad;
		snprintf(number, sizeof(number), "%.*s%c", (int)(dot - text), text, end[0]);
		ret = ax_parse_size(number, strlen(number), &bytes);
		if (!ret) {
			uint64_t one;

			snprintf(number, sizeof(number), "1%c", end[0]);
			if (ax_parse_size(number, 2, &one))
				goto bad;
			bytes += fraction * one;
		}
	} else {
		ret = ax_parse_size(text, len, &bytes);
		if (!ret && text[len - 1] >= '0' && text[len - 1] <= '9' &&
		    __builtin_mul_overflow(bytes, unit, &bytes))
			goto bad;
	}
	if (ret || bytes > INT64_MAX - 8192)
		goto bad;
	bytes = (bytes + 8191) & ~8191ull;
	if (bytes)
		*ram = bytes;
	return 0;
bad:
	return ax_fail(msg, "-m: '%s' is not a size that QEMU takes", text);
}

static bool is_off(const char *value)
{
	return !strcmp(value, "off") || !strcmp(value, "no") || !strcmp(value, "false") ||
	       !strcmp(value, "n");
}

/* What one option means for us. */
static int read_option(struct emp_qemu_args *args, const char *name, const char *value,
		       uint64_t *machine_ram, bool *has_m, struct ax_msg *msg)
{
	char key[PART], part[PART];

	if (!strcmp(name, "m")) {
		*has_m = true;
		while (next_part(&value, "size", key, part, PART)) {
			if (!strcmp(key, "size") && ram_size(part, 1 << 20, &args->ram, msg))
				return -1;
		}
	} else if (!strcmp(name, "machine") || !strcmp(name, "M")) {
		while (next_part(&value, "type", key, part, PART)) {
			if (!strcmp(key, "memory-backend"))
				return ax_fail(msg,
					       "the command line has both --mem-path SPEC and -machine memory-backend=%s: keep one",
					       part);
			if (!strcmp(key, "memory.size") && ram_size(part, 1, machine_ram, msg))
				return -1;
		}
	} else if (!strcmp(name, "numa")) {
		while (next_part(&value, "type", key, part, PART)) {
			if (!strcmp(key, "memdev"))
				return ax_fail(msg,
					       "-numa memdev=%s cannot be combined with --mem-path SPEC: QEMU wants all of the RAM from one or the other",
					       part);
		}
	} else if (!strcmp(name, "overcommit") || !strcmp(name, "realtime")) {
		while (next_part(&value, NULL, key, part, PART)) {
			if ((!strcmp(key, "mem-lock") || !strcmp(key, "mlock")) && !is_off(part))
				return ax_fail(msg,
					       "-%s %s=%s would lock all guest memory in DRAM, which elastic memory cannot do: leave it out",
					       name, key, part);
		}
	} else if (!strcmp(name, "object")) {
		while (next_part(&value, "qom-type", key, part, PART)) {
			if (!strcmp(key, "id") && !strcmp(part, EMP_QEMU_BACKEND))
				return ax_fail(msg,
					       "-object id=%s: emp-qemu uses that id itself, take another",
					       part);
		}
	} else if (!strcmp(name, "name")) {
		while (next_part(&value, "guest", key, part, PART)) {
			if (strcmp(key, "guest"))
				continue;
			for (char *c = part; *c; c++) {
				if (*c >= 'A' && *c <= 'Z')
					*c |= 0x20;
			}
			if (emp_name_valid(part))
				snprintf(args->guest, sizeof(args->guest), "%.31s", part);
		}
	} else if (!strcmp(name, "runas")) {
		args->run_as = value;
	} else if (!strcmp(name, "run-with")) {
		static char user[PART];

		while (next_part(&value, NULL, key, part, PART)) {
			if (!strcmp(key, "user")) {
				strcpy(user, part);
				args->run_as = user;
			}
		}
	}
	return 0;
}

/* Where -mem-path stands; once is enough. */
static int find_mem_path(struct emp_qemu_args *args, struct ax_msg *msg)
{
	for (int i = 1; i < args->argc; i++) {
		const char *name = option(args->argv[i]);

		if (!name)
			continue;
		if (!strncmp(name, "mem-path=", 9))
			return ax_fail(msg,
				       "QEMU does not take '%s': write %.*s SPEC, with a space",
				       args->argv[i], (int)(name + 8 - args->argv[i]),
				       args->argv[i]);
		if (!strcmp(name, "mem-path")) {
			if (args->mem_path >= 0)
				return ax_fail(msg, "--mem-path is given twice");
			if (i + 1 == args->argc)
				return ax_fail(msg, "--mem-path needs a value");
			args->mem_path = i;
		}
		if (takes_argument(name))
			i++;
	}
	return 0;
}

int emp_qemu_read(int argc, char **argv, struct emp_qemu_args *args, struct ax_msg *msg)
{
	uint64_t machine_ram = EMP_QEMU_RAM_DEFAULT;
	bool has_m = false, readconfig = false;

	memset(args, 0, sizeof(*args));
	args->argc = argc;
	args->argv = argv;
	args->mem_path = -1;
	if (find_mem_path(args, msg))
		return -1;
	if (args->mem_path < 0 || !emp_spec_looks_like(argv[args->mem_path + 1]))
		return 0;
	args->spec = argv[args->mem_path + 1];
	for (int i = 1; i < argc; i++) {
		const char *name = option(argv[i]);

		if (!name)
			continue;
		if (!strcmp(name, "mem-prealloc"))
			args->prealloc = true;
		if (!strcmp(name, "readconfig"))
			readconfig = true;
		if (!takes_argument(name))
			continue;
		if (i + 1 == argc)
			break;	/* QEMU will say so */
		if (read_option(args, name, argv[++i], &machine_ram, &has_m, msg))
			return -1;
	}
	if (!has_m && readconfig)
		return ax_fail(msg, "with -readconfig the size of the RAM must be given by -m too");
	if (!args->ram)
		args->ram = machine_ram;
	return 0;
}

char **emp_qemu_rewrite(const struct emp_qemu_args *args, const char *path)
{
	char **argv = calloc(args->argc + 3, sizeof(*argv));
	int n = 0;

	for (int i = 0; argv && i < args->argc; i++) {
		char *backend;

		if (i != args->mem_path) {
			argv[n++] = args->argv[i];
			continue;
		}
		if (asprintf(&backend, "memory-backend-file,id=" EMP_QEMU_BACKEND
			     ",mem-path=%s,size=%llu,share=on,align=2M",
			     path, (unsigned long long)args->ram) < 0) {
			free(argv);
			return NULL;
		}
		argv[n++] = "-object";
		argv[n++] = backend;
		argv[n++] = "-machine";	/* QEMU merges all of them */
		argv[n++] = "memory-backend=" EMP_QEMU_BACKEND;
		i++;
	}
	return argv;
}
