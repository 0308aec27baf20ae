// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz hypersio's readers of configurations (TOML and the original's .cfg), of
 * settings and of sweeps.
 *
 * libFuzzer:	clang -fsanitize=fuzzer,address,undefined fuzz_hs_config.c ...
 * Without it:	-DFUZZ_STANDALONE: mutates its own seeds, always the same way;
 *		the first argument or ANNEX_FUZZ_COUNT is the number of rounds.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../userspace-tools/hypersio/hs_config.h"
#include "../../userspace-tools/hypersio/hs_sweep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) do {							\
	if (!(cond)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);	\
		abort();						\
	}								\
} while (0)

static void check_message(const struct ax_msg *msg)
{
	MUST(msg->text[0] && memchr(msg->text, '\0', sizeof(msg->text)));
}

/* What was taken is in range, and says itself: printed and read again it is the same. */
static void check_taken(const struct hs_config *config)
{
	struct hs_config again;
	struct ax_msg msg;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return;
	for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
		char value[64];

		hs_config_get(config, k, value, sizeof(value));
		again = *config;
		MUST(!hs_config_set(&again, k->name, value, &msg));
		MUST(!memcmp(&again, config, sizeof(again)));
	}
	hs_config_print(config, f);
	MUST(!fclose(f));
	MUST(!hs_config_parse(&again, "again.toml", text, size, &msg));
	MUST(!memcmp(&again, config, sizeof(again)));
	free(text);
	if (hs_config_check(config, &msg))
		check_message(&msg);
}

static void fuzz_file(const char *name, const char *text, size_t size)
{
	struct hs_config config;
	struct ax_msg msg = { "" };

	if (hs_config_parse(&config, name, text, size, &msg)) {
		check_message(&msg);
		/* it names the file */
		MUST(!strncmp(msg.text, name, strlen(name)));
	} else {
		check_taken(&config);
	}
}

static void fuzz_sweep(const char *text)
{
	struct hs_sweep sweep;
	struct ax_msg msg = { "" };
	size_t runs = 1;

	if (hs_sweep_parse(&sweep, text, &msg)) {
		check_message(&msg);
	} else {
		for (size_t i = 0; i < sweep.nr_axes; i++) {
			MUST(sweep.axis[i].nr);
			runs *= sweep.axis[i].nr;
			MUST(hs_sweep_value(&sweep, 0, i) == sweep.axis[i].value[0]);
			MUST(hs_sweep_value(&sweep, sweep.runs - 1, i) ==
			     sweep.axis[i].value[sweep.axis[i].nr - 1]);
		}
		MUST(runs == sweep.runs && runs <= HS_SWEEP_RUNS);
	}
	hs_sweep_free(&sweep);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);	/* exact, so that a read beyond it is seen */
	char *exact = malloc(size ? size : 1);

	if (text && exact) {
		memcpy(text, data, size);
		memcpy(exact, data, size);
		text[size] = '\0';
		fuzz_file("f.toml", exact, size);
		fuzz_file("f.cfg", exact, size);
		fuzz_sweep(text);
	}
	free(text);
	free(exact);
	return 0;
}

#ifdef FUZZ_STANDALONE

static const char *const seeds[] = {
	"preset = \"hypertrio\"\nmodel = \"model\" # comment\n[iotlb]\nsize = 128\nways=1_6\n",
	"ptb = 32\nlink.gbps = 25.78125\norder = 'inorder'\n[dram]\ndistribution = \"rows\"\n",
	"[prefetch]\nenabled = true\ndistance = 100000000\r\n[walk]\nmode=\"nested\"\nwalkers=8\n",
	"CC\nsize:1536\nassoc:1536\ngroups:1\nhistlen:0\n//---\nIOTLB\nsize:64\nassoc:8\ngroups:8\n"
	"L2PAGE\nsize:512\nassoc:16\ngroups:32\nL3PAGE\nsize:0\nassoc:0\ngroups:1\n"
	"PREFETCH\nsize:8\nassoc:48\nhistlen:2\n",
	"CC\nepg:4\n", "L1PAGE\nsize: 18446744073709551616\n",
	"tenants=4..1024*2 iotlb.size=64,128 ptb=1,32 config=base,hypertrio trace=a,b..c",
	"ptb=1..100+10 order=ooo,inorder pri.rate=0,0.5 seed=1..18446744073709551615*65536",
};

static const char *const tokens[] = {
	"=", "\"", "'", "[", "]", ".", "..", ",", "*", "+", "\n", "#", "//", ":", " ", "\t", "\\",
	"-1", "0", "1e309", "nan", "inf", "0x10", "_", "true", "false", "4294967296",
	"18446744073709551615", "iotlb", "size", "preset", "seed", "groups:0", "histlen:65", "\0",
};

static uint64_t state = 88172645463325252ull;

static uint32_t below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 33) % n;
}

int main(int argc, char **argv)
{
	const char *count = argc > 1 ? argv[1] : getenv("ANNEX_FUZZ_COUNT");
	unsigned long rounds = count ? strtoul(count, NULL, 10) : 20000;
	unsigned int nr_seeds = sizeof(seeds) / sizeof(seeds[0]);

	printf("KTAP version 1\n1..1\n");
	fflush(stdout);
	for (unsigned int i = 0; i < nr_seeds; i++)
		LLVMFuzzerTestOneInput((const uint8_t *)seeds[i], strlen(seeds[i]));
	for (unsigned long i = 0; i < rounds; i++) {
		uint8_t buf[1024];
		const char *seed = seeds[below(nr_seeds)];
		size_t n = strlen(seed);

		memcpy(buf, seed, n);
		for (unsigned int edits = 1 + below(6); edits; edits--) {
			const char *token = tokens[below(sizeof(tokens) / sizeof(tokens[0]))];
			size_t len = strlen(token) ? strlen(token) : 1, at = below(n + 1);

			switch (below(4)) {
			case 0:
				if (n)
					buf[at % n] = below(256);
				break;
			case 1:
				n = at;
				break;
			default:
				if (n + len > sizeof(buf))
					break;
				memmove(buf + at + len, buf + at, n - at);
				memcpy(buf + at, token, len);
				n += len;
				break;
			}
		}
		LLVMFuzzerTestOneInput(buf, n);
	}
	printf("ok 1 - hs_config # %lu rounds\n", rounds);
	return 0;
}

#endif
