// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>
#include "hs_result.h"
int hs_model_run(const struct hs_config *config, const char *path, struct hs_result *result,
		 struct ax_msg *msg)
{
	(void)config; (void)path; (void)result;
	return ax_fail(msg, "not yet");
}
