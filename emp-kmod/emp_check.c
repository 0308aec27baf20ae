// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks of what comes from the tiers, one a subblock, in DRAM:
 *
 *	csum	a checksum of 32 bits (EMP_F_CHECKSUM): against accidents
 *	mac	a MAC of 64 bits with a secret of the region (EMP_F_MAC, and whenever
 *		a tier is a memory donor): also against a tier that means harm
 *
 * Both are over the contents and the number of the subblock, so right bytes in
 * the wrong place differ. Both are noted when the subblock is written and never
 * leave this machine: what a tier gives back from before does not fit what was
 * noted last, so no number of a version is needed.
 *
 * A region's first donor may come when data is on other tiers already. What was
 * written before has no MAC (0) and is believed; it gets one when it is written
 * again, or copied to another tier.
 */
#include <linux/random.h>
#include <linux/siphash.h>

#include "emp_check.h"
#include "emp_folio.h"

/** emp_check_init - the tables that the region's flags ask for */
int emp_check_init(struct emp_region *r)
{
	get_random_bytes(&r->mac_key, sizeof(r->mac_key));
	if (r->flags & EMP_F_CHECKSUM) {
		r->csum = emp_table_alloc(r->nr_subs, sizeof(*r->csum));
		if (!r->csum)
			return -ENOMEM;
	}
	return r->flags & EMP_F_MAC ? emp_check_want_mac(r) : 0;
}

/** emp_check_want_mac - keep MACs from now on; conf_lock, or nobody else knows the region */
int emp_check_want_mac(struct emp_region *r)
{
	u64 *mac;

	if (r->mac)
		return 0;
	mac = emp_table_alloc(r->nr_subs, sizeof(*mac));
	if (!mac)
		return -ENOMEM;
	smp_store_release(&r->mac, mac);	/* pairs with emp_check_macs() */
	return 0;
}

void emp_check_exit(struct emp_region *r)
{
	kvfree(r->csum);
	kvfree(r->mac);
	memzero_explicit(&r->mac_key, sizeof(r->mac_key));
}

/** emp_check_metadata - bytes of the tables */
u64 emp_check_metadata(const struct emp_region *r)
{
	return r->nr_subs * ((r->csum ? sizeof(*r->csum) : 0) + (r->mac ? sizeof(*r->mac) : 0));
}

static u64 *emp_check_macs(struct emp_region *r)
{
	return smp_load_acquire(&r->mac);	/* pairs with emp_check_want_mac() */
}

static u64 emp_check_mac(struct emp_region *r, struct folio *folio, size_t off, u64 sub)
{
	u64 contents = siphash(folio_address(folio) + off, 1UL << r->sub_shift, &r->mac_key);

	return siphash_2u64(contents, sub, &r->mac_key) ?: 1;
}

/** emp_check_note - subblock @sub, at @off of @folio, is about to be written */
void emp_check_note(struct emp_region *r, struct folio *folio, size_t off, u64 sub)
{
	u64 *mac = emp_check_macs(r);

	if (r->csum)
		WRITE_ONCE(r->csum[sub], emp_folio_csum(folio, off, 1UL << r->sub_shift, sub));
	if (mac)
		WRITE_ONCE(mac[sub], emp_check_mac(r, folio, off, sub));
}

/** emp_check_matches - is what was read at @off of @folio what subblock @sub had? */
bool emp_check_matches(struct emp_region *r, struct folio *folio, size_t off, u64 sub)
{
	u64 *mac = emp_check_macs(r);
	bool ok = true;
	u64 noted;

	if (r->csum)
		ok = emp_folio_csum(folio, off, 1UL << r->sub_shift, sub) ==
		     READ_ONCE(r->csum[sub]);
	if (mac && ok) {
		noted = READ_ONCE(mac[sub]);
		ok = !noted || noted == emp_check_mac(r, folio, off, sub);
	}
	return ok;
}

/** emp_check_ok - the same, and counts errors */
bool emp_check_ok(struct emp_region *r, struct folio *folio, size_t off, u64 sub)
{
	bool ok = emp_check_matches(r, folio, off, sub);

	if (!ok)
		emp_count(r, csum_error);
	return ok;
}

/*
 * emp_check_adopt - a copy of subblock @sub goes to another tier
 *
 * If it has no MAC it gets one, unless the block is used meanwhile: then the
 * copy is thrown away, and whoever writes the block notes its own.
 */
void emp_check_adopt(struct emp_region *r, u32 b, struct folio *folio, u64 sub)
{
	u64 *mac = emp_check_macs(r), now;
	unsigned long flags;

	if (!mac || READ_ONCE(mac[sub]))
		return;
	now = emp_check_mac(r, folio, 0, sub);
	spin_lock_irqsave(emp_block_lock(r, b), flags);
	if (r->bent[b].flags & (EMP_B_MIGRATE | EMP_B_COPYOK) && !mac[sub])
		WRITE_ONCE(mac[sub], now);
	spin_unlock_irqrestore(emp_block_lock(r, b), flags);
}
