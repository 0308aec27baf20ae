// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "hs_result.h"

int hs_run(const struct hs_config *config, const char *path, struct hs_result *result,
	   struct ax_msg *msg)
{
	memset(result, 0, sizeof(*result));
	if (hs_config_check(config, msg))
		return -1;
	if (config->model == HS_COMPAT)
		return hs_compat_run(config, path, result, msg);
	return hs_model_run(config, path, result, msg);
}
