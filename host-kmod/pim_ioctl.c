// SPDX-License-Identifier: GPL-2.0-only
/* Structures that begin with their own size; see include/uapi/annex/pim.h. */
#include <linux/ctype.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../include/uapi/annex/pim.h"
#include "pim_ioctl.h"

/** pim_copy_in - fetch a structure; *@usize is the size that user space has */
int pim_copy_in(void *dst, size_t size, const void __user *arg, u32 *usize)
{
	u32 n;
	int err;

	if (get_user(n, (const u32 __user *)arg))
		return -EFAULT;
	if (n < sizeof(u32) * 2)
		return -EINVAL;
	if (n > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(dst, size, arg, n);
	*(u32 *)dst = n;	/* it may have changed meanwhile */
	if (usize)
		*usize = n;
	return err;
}

/** pim_copy_out - give back what fits into the structure user space has */
int pim_copy_out(void __user *arg, const void *src, size_t size, u32 usize)
{
	return copy_to_user(arg, src, min_t(size_t, size, usize)) ? -EFAULT : 0;
}

int pim_ioc_info(void __user *arg)
{
	struct pim_info info;
	u32 usize;
	int err = pim_copy_in(&info, sizeof(info), arg, &usize);

	if (err)
		return err;
	info.abi = PIM_ABI;
	info.rank_flags = PIM_RANK_F_ALL;
	info.lease_flags = PIM_LEASE_F_ALL;
	strscpy_pad(info.version, ANNEX_VERSION, sizeof(info.version));
	return pim_copy_out(arg, &info, sizeof(info), usize);
}

/** pim_text_valid - NUL-terminated, printable ASCII only */
bool pim_text_valid(const char *text, size_t size)
{
	size_t n = strnlen(text, size);

	if (n == size)
		return false;
	while (n--) {
		if (!isascii(text[n]) || !isprint(text[n]))
			return false;
	}
	return true;
}
