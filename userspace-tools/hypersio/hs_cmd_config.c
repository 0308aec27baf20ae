// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio config show, check, keys.
 */
#include <stdio.h>
#include <string.h>

#include "hs_config.h"
#include "hypersio.h"

int hypersio_config_show(const struct ax_args *args)
{
	struct hs_config config;
	struct ax_msg msg;
	int ret;

	if (hs_config_load(&config, args->argv[0], &msg))
		return ax_error("%s", msg.text);
	for (unsigned int i = 0; i < args->nr_given; i++) {
		ret = hypersio_config_assign(&config, args->given[i].value);
		if (ret)
			return ret;
	}
	if (hs_config_check(&config, &msg))
		return ax_error("%s: %s", args->argv[0], msg.text);
	hs_config_print(&config, stdout);
	return AX_OK;
}

int hypersio_config_check(const struct ax_args *args)
{
	int ret = AX_OK;

	for (int i = 0; i < args->argc; i++) {
		struct hs_config config;
		struct ax_msg msg;

		if (hs_config_load(&config, args->argv[i], &msg))
			ret = ax_error("%s", msg.text);
		else if (hs_config_check(&config, &msg))
			ret = ax_error("%s: %s", args->argv[i], msg.text);
		else
			printf("%s: valid\n", args->argv[i]);
	}
	return ret;
}

static void range(const struct hs_config_key *k, char *text, size_t size)
{
	size_t n = 0;

	if (!k->words) {
		if (k->max >= 0x1p63)
			snprintf(text, size, "%.10g or more", k->min);
		else
			snprintf(text, size, "%.10g to %.10g", k->min, k->max);
		return;
	}
	text[0] = '\0';
	for (const char *const *w = k->words; *w && n < size; w++)
		n += snprintf(text + n, size - n, "%s%s", n ? ", " : "", *w);
}

int hypersio_config_keys(const struct ax_args *args)
{
	bool markdown = ax_has(args, "markdown");
	struct hs_config base, trio;
	struct ax_msg msg;

	if (hs_config_preset(&base, "base", &msg) || hs_config_preset(&trio, "hypertrio", &msg))
		return ax_error("%s", msg.text);
	if (markdown)
		printf("| key | values | unit | base | hypertrio | meaning |\n|---|---|---|---|---|---|\n");
	for (const struct hs_config_key *k = hs_config_keys; k->name; k++) {
		char values[96], in_base[64], in_trio[64];

		range(k, values, sizeof(values));
		hs_config_get(&base, k, in_base, sizeof(in_base));
		hs_config_get(&trio, k, in_trio, sizeof(in_trio));
		if (markdown)
			printf("| `%s` | %s | %s | %s | %s | %s%s |\n", k->name, values, k->unit,
			       in_base, strcmp(in_base, in_trio) ? in_trio : "", k->help,
			       k->model_only ? " (model only)" : "");
		else
			printf("%s = %s\n    %s\n    %s%s%s%s\n", k->name, in_base, k->help, values,
			       *k->unit ? " " : "", k->unit, k->model_only ? "; model only" : "");
	}
	return AX_OK;
}
