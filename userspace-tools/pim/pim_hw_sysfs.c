// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Attributes of the stock driver; formats as its library reads them.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pim_hw_sysfs.h"
#include "pim_rank.h"

#define VPD_MAGIC	"UPMV"
#define VPD_HEADER	112
#define VPD_RANKS	4	/* of a DIMM, in the header */

/* Bytes of an attribute, at most @size; -1 with a message. */
static int read_bytes(const char *dir, const char *name, void *bytes, size_t size,
		      struct ax_msg *msg)
{
	char path[512];
	size_t n;
	FILE *f;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return ax_fail(msg, "%s: the name is too long", dir);
	f = fopen(path, "re");
	if (!f)
		return ax_fail(msg, "%s: %s", path, strerror(errno));
	n = fread(bytes, 1, size, f);
	if (ferror(f)) {
		ax_fail(msg, "%s: %s", path, strerror(errno));
		fclose(f);
		return -1;
	}
	fclose(f);
	return (int)n;
}

/* Text without the newline; "" when there is no such attribute. */
static void read_text(const char *dir, const char *name, char *text, size_t size)
{
	struct ax_msg ignored;
	int n = read_bytes(dir, name, text, size - 1, &ignored);

	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
}

static int read_number(const char *dir, const char *name, uint64_t min, uint64_t max,
		       __u64 *value, struct ax_msg *msg)
{
	char text[64], *end;
	int n = read_bytes(dir, name, text, sizeof(text) - 1, msg);

	if (n < 0)
		return -1;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	errno = 0;
	*value = strtoull(text, &end, 0);
	if (!*text || *text == '-' || *end || errno || *value < min || *value > max)
		return ax_fail(msg, "%s/%s: '%s' is no number from %llu to %llu", dir, name, text,
			       (unsigned long long)min, (unsigned long long)max);
	return 0;
}

/* Eight words of a line. */
static int read_byte_order(const char *dir, __u64 order[PIM_CIS_MAX], struct ax_msg *msg)
{
	char text[512], *at = text, *end;
	int n = read_bytes(dir, "byte_order", text, sizeof(text) - 1, msg);

	if (n < 0)
		return -1;
	text[n] = 0;
	for (int c = 0; c < PIM_CIS_MAX; c++, at = end) {
		order[c] = strtoull(at, &end, 16);
		if (end == at)
			return ax_fail(msg, "%s/byte_order has %d numbers, not %d", dir, c,
				       PIM_CIS_MAX);
	}
	return 0;
}

static uint64_t le64(const void *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

/* Its DPUs that are out of order: bit 8 * interface + member of the word of its rank. */
static int read_vpd(const char *dir, struct pim_hw_info *info, struct ax_msg *msg)
{
	int n = read_bytes(dir, "dimm_vpd", info->vpd, sizeof(info->vpd), msg);
	uint32_t rank = info->add.rank_index;
	uint64_t disabled;

	if (n < 0)
		return -1;
	if (n < VPD_HEADER || memcmp(info->vpd, VPD_MAGIC, 4))
		return ax_fail(msg, "%s/dimm_vpd is no product data of a DIMM", dir);
	if (rank >= VPD_RANKS)
		return ax_fail(msg, "%s/rank_index: a DIMM has %d ranks", dir, VPD_RANKS);
	disabled = le64(info->vpd + 16 + 24 * rank);
	for (unsigned int c = 0; c < PIM_RANK_NR_CIS; c++) {
		for (unsigned int d = 0; d < PIM_CI_NR_DPUS; d++)
			info->disabled |= (disabled >> (8 * c + d) & 1)
					  << (d * PIM_RANK_NR_CIS + c);
	}
	info->add.vpd = (uintptr_t)info->vpd;
	info->add.vpd_bytes = (uint32_t)n;
	return 0;
}

/* The numbers; a rank that does not say how many DPUs it has is of no use. */
static int read_numbers(const char *dir, struct pim_hw_info *info, struct ax_msg *msg)
{
	static const uint8_t codes[9] = { [2] = 8, [3] = 3, [4] = 4, [8] = 0 };
	struct pim_rank_add *a = &info->add;
	const struct {
		const char *name;
		uint64_t min, max;
		uint32_t *to;
	} attrs[] = {
		{ "nb_ci", PIM_RANK_NR_CIS, PIM_RANK_NR_CIS, &a->nr_cis },
		{ "nb_dpus_per_ci", PIM_CI_NR_DPUS, PIM_CI_NR_DPUS, &a->nr_dpus_per_ci },
		{ "dpu_chip_id", 0, UINT32_MAX, &a->chip_id },
		{ "fck_frequency", 1, 100000, &a->fck_mhz },
		{ "clock_division", 2, 8, &a->clock_division },
		{ "channel_id", 0, 255, &a->channel_id },
		{ "rank_index", 0, 254, &a->rank_index },
		{ "rank_count", 1, 255, &a->rank_count },
		{ "ci_mask", 1, 255, &a->ci_mask },
	};
	__u64 value;

	for (size_t n = 0; n < sizeof(attrs) / sizeof(attrs[0]); n++) {
		if (read_number(dir, attrs[n].name, attrs[n].min, attrs[n].max, &value, msg))
			return -1;
		*attrs[n].to = (uint32_t)value;
	}
	if (read_number(dir, "mram_size", 4096, 64 << 20, &a->mram_size, msg))
		return -1;
	if (a->mram_size % 4096)
		return ax_fail(msg, "%s/mram_size is no multiple of 4096", dir);
	info->division = codes[a->clock_division];
	if (!info->division && a->clock_division != 8)
		return ax_fail(msg, "%s/clock_division: %u is none that there is", dir,
			       a->clock_division);
	return 0;
}

int pim_hw_sysfs(const char *dir, struct pim_hw_info *info, struct ax_msg *msg)
{
	struct pim_rank_add *a = &info->add;

	memset(info, 0, sizeof(*info));
	a->size = sizeof(*a);
	a->id = PIM_ID_ANY;
	a->flags = PIM_RANK_F_XFER;
	if (read_numbers(dir, info, msg) || read_byte_order(dir, a->byte_order, msg) ||
	    read_vpd(dir, info, msg))
		return -1;
	read_text(dir, "mcu_version", a->mcu_version, sizeof(a->mcu_version));
	read_text(dir, "part_number", a->part_number, sizeof(a->part_number));
	read_text(dir, "serial_number", a->serial_number, sizeof(a->serial_number));
	return 0;
}
