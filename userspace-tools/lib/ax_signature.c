// SPDX-License-Identifier: LGPL-2.1-or-later
#include <blkid/blkid.h>
#include <stdio.h>

#include "ax_signature.h"

bool ax_signature(int fd, char *what, size_t size)
{
	blkid_probe probe = blkid_new_probe();
	const char *value = NULL;
	bool found = false;

	if (!probe || blkid_probe_set_device(probe, fd, 0, 0)) {
		snprintf(what, size, "something that cannot be read");
		blkid_free_probe(probe);
		return true;
	}
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	blkid_probe_enable_partitions(probe, 1);
	/* 1: nothing found; 0: found; -2: several */
	switch (blkid_do_safeprobe(probe)) {
	case 0:
		found = true;
		if (!blkid_probe_lookup_value(probe, "TYPE", &value, NULL))
			snprintf(what, size, "the signature of %s", value);
		else if (!blkid_probe_lookup_value(probe, "PTTYPE", &value, NULL))
			snprintf(what, size, "a %s partition table", value);
		else
			found = false;
		break;
	case 1:
		break;
	case -2:
		found = true;
		snprintf(what, size, "several signatures");
		break;
	default:
		found = true;
		snprintf(what, size, "something that cannot be read");
		break;
	}
	blkid_free_probe(probe);
	return found;
}
