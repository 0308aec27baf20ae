/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is simulated: the hardware and the model of it. Each key has one line in
 * the table of hs_config.c, from which come the parser of configuration files,
 * the keys of a sweep, the list in the documentation (hypersio config keys) and
 * the columns of a table of runs.
 */
#ifndef HS_CONFIG_H
#define HS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../lib/ax_err.h"
#include "hs_cache.h"

enum hs_model { HS_COMPAT, HS_MODEL };
enum hs_order { HS_OUT_OF_ORDER, HS_IN_ORDER };
enum hs_full { HS_FULL_DROP, HS_FULL_WAIT };
enum hs_unit { HS_UNIT_TRANSLATION, HS_UNIT_PACKET };
enum hs_walk { HS_WALK_NESTED, HS_WALK_SECOND, HS_WALK_FIRST };
enum hs_page { HS_PAGE_4K, HS_PAGE_2M, HS_PAGE_1G };
enum hs_dram { HS_DRAM_FIXED, HS_DRAM_UNIFORM, HS_DRAM_EXPONENTIAL, HS_DRAM_ROWS };
enum hs_inval { HS_INVAL_NONE, HS_INVAL_STRICT, HS_INVAL_DEFERRED };

#define HS_DEVICES_MAX	64
#define HS_WALKERS_MAX	4096
#define HS_PTB_MAX	65536

/* Numbers are uint32_t, uint64_t or double; words and switches uint32_t. */
struct hs_config {
	uint32_t model;
	uint64_t seed;

	/* what of the trace */
	uint32_t tenants;
	uint64_t packets, warmup;

	/* link and device */
	double gbps;
	uint32_t packet_bytes, packet_translations, full, devices;
	uint32_t ptb, ptb_unit, order, merge;

	struct hs_cache_config cc, iotlb, l2, l3, nested;
	uint32_t selective;

	uint32_t pf_enabled, pf_buffer, pf_history, pf_distance;
	uint32_t pf_filter, pf_relearn, pf_outstanding;

	/* ns */
	uint32_t ns_pcie, ns_iotlb, ns_cc, ns_page_cache, ns_port;

	uint32_t walk, guest_levels, host_levels, host_page, walkers, pasid;

	uint32_t dram, ns_dram, ns_dram_spread;
	double row_hit;

	uint32_t inval, inval_pages, ns_inval, inval_queue, inval_batch, inval_period_us;

	uint32_t ats;
	double pri_rate;
	uint32_t pri_us, pri_slots;
};

enum hs_key_type { HS_KEY_U32, HS_KEY_U64, HS_KEY_REAL, HS_KEY_WORD, HS_KEY_BOOL };

struct hs_config_key {
	const char *name;	/* with its section: "iotlb.size" */
	enum hs_key_type type;
	size_t offset;
	double min, max;
	const char *const *words;	/* ended by NULL; value = index */
	bool model_only;	/* must keep its default in compat */
	const char *unit;
	const char *help;
};

extern const struct hs_config_key hs_config_keys[];	/* ended by .name == NULL */

/* The built-in configurations: "base", "hypertrio". -1 with a message for other names. */
int hs_config_preset(struct hs_config *config, const char *name, struct ax_msg *msg);
extern const char *const hs_config_presets[];	/* ended by NULL */

/* Set one key from text; -1 with a message (wrong key: with the nearest one). */
int hs_config_set(struct hs_config *config, const char *key, const char *value,
		  struct ax_msg *msg);
const struct hs_config_key *hs_config_find(const char *key);
/* The key's value as text, as hs_config_set() takes it. */
void hs_config_get(const struct hs_config *config, const struct hs_config_key *key, char *text,
		   size_t size);

/* Do the values fit together? Called before each run. */
int hs_config_check(const struct hs_config *config, struct ax_msg *msg);

/* A preset's name, or a file: TOML or, when it is one, the original's .cfg. */
int hs_config_load(struct hs_config *config, const char *name, struct ax_msg *msg);
/* The same for text in memory; @name: for messages. */
int hs_config_parse(struct hs_config *config, const char *name, const char *text, size_t len,
		    struct ax_msg *msg);
/* As TOML. @all: also keys that have their default value. */
void hs_config_print(const struct hs_config *config, FILE *f);

/* Parsers, by format (hs_config_toml.c, hs_config_cfg.c). */
int hs_config_parse_toml(struct hs_config *config, const char *name, const char *text, size_t len,
			 struct ax_msg *msg);
int hs_config_parse_cfg(struct hs_config *config, const char *name, const char *text, size_t len,
			struct ax_msg *msg);

#endif
