// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hypersio run, and what all commands do with --config and --set.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hs_result.h"
#include "hypersio.h"

int hypersio_config_assign(struct hs_config *config, const char *text)
{
	const char *value = strchr(text, '=');
	struct ax_msg msg;
	char key[64];

	if (!value || value == text || (size_t)(value - text) >= sizeof(key))
		return ax_usage("--set: '%s' is not KEY=VALUE", text);
	snprintf(key, sizeof(key), "%.*s", (int)(value - text), text);
	if (hs_config_set(config, key, value + 1, &msg))
		return ax_usage("--set: %s", msg.text);
	return AX_OK;
}

int hypersio_config_named(const struct ax_args *args, const char *name, struct hs_config *config)
{
	const char *model = ax_value(args, "model");
	struct ax_msg msg;
	int ret;

	if (hs_config_load(config, name, &msg))
		return ax_error("%s", msg.text);
	if (model && hs_config_set(config, "model", model, &msg))
		return ax_usage("--%s", msg.text);
	for (unsigned int i = 0; i < args->nr_given; i++) {
		if (strcmp(args->given[i].opt->name, "set"))
			continue;
		ret = hypersio_config_assign(config, args->given[i].value);
		if (ret)
			return ret;
	}
	return AX_OK;
}

static int print_csv(const struct hs_result *r)
{
	char text[32];

	for (const struct hs_column *c = hs_columns; c->name; c++)
		printf("%s%s", c == hs_columns ? "" : ",", c->name);
	putchar('\n');
	for (const struct hs_column *c = hs_columns; c->name; c++)
		printf("%s%s", c == hs_columns ? "" : ",", hs_number(c->get(r), text));
	putchar('\n');
	return AX_OK;
}

static int print_json(json_t *value)
{
	int ret;

	if (!value)
		return ax_error("out of memory");
	ret = json_dumpf(value, stdout, JSON_INDENT(2));
	json_decref(value);
	putchar('\n');
	if (ret || fflush(stdout))
		return ax_error("cannot write: %s", strerror(errno));
	return AX_OK;
}

int hypersio_run(const struct ax_args *args)
{
	const char *trace = ax_value(args, "trace"), *name = ax_value(args, "config");
	bool json = ax_has(args, "json"), csv = ax_has(args, "csv");
	bool original = ax_has(args, "original"), tenants = ax_has(args, "tenants");
	struct hs_config config;
	struct hs_result result;
	struct ax_msg msg;
	int ret;

	if (!trace)
		return ax_usage("run needs --trace FILE");
	if (json + csv + original > 1)
		return ax_usage("--json, --csv and --original exclude each other");
	if (csv && tenants)
		return ax_usage("--csv has no lines for tenants: use --json");
	ret = hypersio_config_named(args, name ? name : "base", &config);
	if (ret)
		return ret;
	if (original && config.model != HS_COMPAT)
		return ax_usage("--original needs the compat model");
	if (hs_run(&config, trace, &result, &msg))
		ret = ax_error("%s", msg.text);
	else if (json)
		ret = print_json(hs_result_json(&result, &config, tenants));
	else if (csv)
		ret = print_csv(&result);
	else if (original)
		hs_result_print_original(&result, &config, stdout);
	else
		hs_result_print(&result, &config, tenants, stdout);
	hs_result_free(&result);
	return ret;
}
