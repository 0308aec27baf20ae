// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The donor's key file and configuration file: what is taken, and what is refused
 * in which words.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../userspace-tools/donor/donor_conf.h"
#include "../../userspace-tools/donor/donor_key.h"

static unsigned int test_nr, failures;

static void result(bool ok, const char *name)
{
	printf("%sok %u - %s\n", ok ? "" : "not ", ++test_nr, name);
	failures += !ok;
}

#define K16 "00112233445566778899aabbccddeeff"
#define K64 K16 K16 K16 K16

static const struct {
	const char *text, *error;	/* NULL: taken */
} key_files[] = {
	{ "a " K16, NULL },
	{ "# hosts\n\n  a\t" K16 "  quota=16G # first\nb-1.x " K64 "\n", NULL },
	{ "a 00112233445566778899AABBCCDDEEFF\r\n", NULL },
	{ "", "there is no key in it" },
	{ "# nothing\n", "there is no key in it" },
	{ "a", "line 1: 'a' has no key of 32 to 128 hexadecimal digits" },
	{ "a 0011", "line 1: 'a' has no key" },
	{ "a " K64 "00", "line 1: 'a' has no key" },
	{ "a " K16 "0", "line 1: 'a' has no key" },
	{ "a 00112233445566778899aabbccddeefg", "line 1: 'a' has no key" },
	{ "-a " K16, "line 1: the name must be" },
	{ "a/b " K16, "line 1: the name must be" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa " K16, "line 1: the name must be" },
	{ "a " K16 "\na " K64 "\n", "line 2: 'a' is there twice" },
	{ "a " K16 "\nb " K16 "\n", "line 2: the key of 'b' is another name's too" },
	{ "a " K16 " quota=", "line 1: 'a' is followed by something else" },
	{ "a " K16 " quota=1X", "line 1: 'a' is followed by something else" },
	{ "a " K16 " quota=99999999999T", "line 1: 'a' is followed by something else" },
	{ "a " K16 " b", "line 1: 'a' is followed by something else" },
};

static void key_file(void)
{
	struct donor_keys keys;
	struct ax_msg msg;
	bool ok = true;

	for (size_t i = 0; i < sizeof(key_files) / sizeof(key_files[0]); i++) {
		const char *text = key_files[i].text, *error = key_files[i].error;
		int ret;

		msg.text[0] = '\0';
		ret = donor_keys_parse(text, strlen(text), &keys, &msg);
		if (!ret == !!error || (error && strncmp(msg.text, error, strlen(error)))) {
			printf("# '%s': %d '%s'\n", text, ret, msg.text);
			ok = false;
		}
		/* a message never has (a part of) a key in it */
		if (strstr(msg.text, "0011"))
			ok = false;
		donor_keys_free(&keys);
	}
	result(ok, "key files, good and bad");

	ok = !donor_keys_parse(key_files[1].text, strlen(key_files[1].text), &keys, &msg) &&
	     keys.nr == 2 && keys.key[0].quota == 16ull << 30 && keys.key[1].quota == UINT64_MAX &&
	     keys.key[0].secret.len == 16 && keys.key[1].secret.len == 64 &&
	     keys.key[0].secret.bytes[1] == 0x11 && keys.key[0].secret.bytes[15] == 0xff &&
	     !strcmp(keys.key[0].name, "a") && !strcmp(keys.key[1].name, "b-1.x") &&
	     donor_keys_by_name(&keys, NULL) == &keys.key[0] &&
	     donor_keys_by_name(&keys, "b-1.x") == &keys.key[1] &&
	     !donor_keys_by_name(&keys, "b") &&
	     donor_keys_by_id(&keys, keys.key[1].id) == &keys.key[1];
	donor_keys_free(&keys);
	result(ok, "what a key file means");
}

static void key_on_disk(void)
{
	char path[] = "/tmp/annex-keys-XXXXXX";
	int fd = mkstemp(path);
	struct donor_keys keys;
	struct ax_msg msg;
	struct stat st;
	bool ok;

	close(fd);
	unlink(path);
	ok = fd >= 0 && !donor_keys_add(path, "h1", NULL, &msg) &&
	     !donor_keys_add(path, "h2", "2G", &msg) && !stat(path, &st) &&
	     (st.st_mode & 0777) == 0600 && !donor_keys_load(path, &keys, &msg);
	if (ok) {
		ok = keys.nr == 2 && keys.key[0].secret.len == 32 &&
		     memcmp(keys.key[0].secret.bytes, keys.key[1].secret.bytes, 32) &&
		     keys.key[1].quota == 2ull << 30;
		donor_keys_free(&keys);
	}
	result(ok, "keys are made, each another, for the owner only");
	result(donor_keys_add(path, "h1", NULL, &msg) && strstr(msg.text, "already"),
	       "a name is not made twice");
	chmod(path, 0640);
	result(donor_keys_load(path, &keys, &msg) && strstr(msg.text, "chmod 600"),
	       "a file that others may read is refused");
	unlink(path);
	result(donor_keys_load(path, &keys, &msg) && strstr(msg.text, "key add"),
	       "a file that is not there");
}

static const struct {
	const char *text, *error;
} confs[] = {
	{ "", NULL },
	{ "memory = 8G\n# x\n port=1 # y\nlisten = a\nlisten = ::1\nlock = no\nlinger=500ms\n",
	  NULL },
	{ "memory = 8X", "line 1: memory: '8X' is no number from 2097152" },
	{ "\n\nmemory = 1M", "line 3: memory: '1M' is no number" },
	{ "port = 0", "line 1: port: '0' is no number from 1 to 65535" },
	{ "port = 70000", "line 1: port" },
	{ "prot = 1", "line 1: unknown setting 'prot'; did you mean 'port'?" },
	{ "port 1", "line 1: 'port 1' is not KEY = VALUE" },
	{ "port =", "line 1: port: no value" },
	{ "lock = maybe", "line 1: lock: 'maybe' is neither yes nor no" },
	{ "heartbeat = 1", NULL },
	{ "heartbeat = 1h", "line 1: heartbeat" },
	{ "device = 0123456789012345678901234567890123456789012345678901234567890123456",
	  "line 1: device: longer than 63 characters" },
	{ "backing = /x\nbacking-size = 1T\nbacking-force = no\nkeep-free = 1G", NULL },
	{ "backing-size = 0", "line 1: backing-size: '0' is no number from 2097152" },
	{ "backing-force = /dev/x", "line 1: backing-force: '/dev/x' is neither yes nor no" },
	{ "keepfree = 1G", "line 1: unknown setting 'keepfree'; did you mean 'keep-free'?" },
};

/* Settings of the backing that do not fit each other. */
static void backing(void)
{
	static const struct {
		uint64_t size, keep;
		bool path, force;
		const char *error;
	} tests[] = {
		{ 0, 0, true, false, NULL },
		{ 64ull << 20, 1ull << 30, true, true, NULL },
		{ 64ull << 20, 0, false, false, "backing-size: without backing" },
		{ 0, 0, false, true, "backing-force: without backing" },
		{ 0, 64ull << 20, false, false, "keep-free: without backing" },
		{ 2ull << 20, 0, true, false, "backing-size: less than one slab of 64 MiB" },
		{ 0, 3ull << 30, true, false, "keep-free: more than half of memory" },
	};
	bool ok = true;

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct donor_conf conf, other;
		struct ax_msg msg = { "" };
		const char *key;

		donor_conf_defaults(&conf);
		conf.noauth = true;
		conf.memory = 4ull << 30;
		conf.backing_size = tests[i].size;
		conf.keep_free = tests[i].keep;
		conf.backing_force = tests[i].force;
		strcpy(conf.backing, tests[i].path ? "/x" : "");
		other = conf;
		if (!donor_conf_check(&conf, &msg) == !!tests[i].error ||
		    (tests[i].error && strcmp(msg.text, tests[i].error))) {
			printf("# %zu: '%s'\n", i, msg.text);
			ok = false;
		}
		conf = other;
		other.keep_free++;
		ok &= !donor_conf_needs_restart(&conf, &other);
		strcat(other.backing, "y");
		key = donor_conf_needs_restart(&conf, &other);
		ok &= key && !strcmp(key, "backing");
	}
	result(ok, "settings of the backing");
}

static void conf_file(void)
{
	struct donor_conf conf, other;
	struct ax_msg msg;
	bool ok = true;

	for (size_t i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
		const char *text = confs[i].text, *error = confs[i].error;
		int ret;

		donor_conf_defaults(&conf);
		ret = donor_conf_parse(text, strlen(text), &conf, &msg);
		if (!ret == !!error || (error && strncmp(msg.text, error, strlen(error)))) {
			printf("# '%s': %d '%s'\n", text, ret, ret ? msg.text : "");
			ok = false;
		}
	}
	result(ok, "configuration files, good and bad");

	donor_conf_defaults(&conf);
	ok = !donor_conf_parse(confs[1].text, strlen(confs[1].text), &conf, &msg) &&
	     conf.memory == 8ull << 30 && conf.port == 1 && conf.nr_listen == 2 &&
	     !strcmp(conf.listen[1], "::1") && !conf.lock && conf.huge && conf.linger_ms == 500;
	result(ok, "what a configuration means");

	result(donor_conf_check(&conf, &msg) && strstr(msg.text, "no-authentication"),
	       "without a key file it takes an option");
	strcpy(conf.key_file, "k");
	other = conf;
	ok = !donor_conf_check(&conf, &msg) && !donor_conf_check(&other, &msg);
	other.memory = 4ull << 30;
	other.linger_ms = 1;
	ok &= !donor_conf_needs_restart(&conf, &other);
	strcpy(other.listen[0], "b");
	ok &= donor_conf_needs_restart(&conf, &other) &&
	      !strcmp(donor_conf_needs_restart(&conf, &other), "listen");
	result(ok, "what takes a restart");
	conf.slab = 3ull << 20;
	result(donor_conf_check(&conf, &msg), "a slab is a power of two");
}

int main(void)
{
	printf("KTAP version 1\n1..12\n");
	key_file();
	key_on_disk();
	conf_file();
	backing();
	return failures ? 1 : 0;
}
