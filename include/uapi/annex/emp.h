/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Annex elastic memory (emp): what user space and the kernel share.
 *
 * A *region* is a regular file on empfs (mounted at /dev/emp). It is made by
 * EMP_IOC_CREATE on the misc device /dev/emp-control, and is then mapped like
 * any other file (MAP_SHARED only). Discard is fallocate(PUNCH_HOLE|KEEP_SIZE).
 *
 * Every structure begins with its own size in bytes, so that it can grow:
 * a kernel that is given a larger structure than it knows accepts it only if
 * the unknown tail is zero (else -E2BIG); a smaller one is padded with zeros.
 * Unknown flag bits and non-zero padding are refused with -EINVAL.
 * Every ioctl needs CAP_SYS_ADMIN in the initial user namespace (else -EPERM),
 * except EMP_IOC_INFO.
 */
#ifndef _UAPI_ANNEX_EMP_H
#define _UAPI_ANNEX_EMP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/** EMP_ABI - version of this interface; raised on an incompatible change. */
#define EMP_ABI			1

/** EMP_NAME_LEN - bytes of a region name with its NUL: [a-z0-9][a-z0-9_.-]{0,30} */
#define EMP_NAME_LEN		32
/** EMP_TIERS_MAX - tiers behind the DRAM of one region. */
#define EMP_TIERS_MAX		64

#define EMP_BLOCK_MIN		4096u		/* bytes, power of two */
#define EMP_BLOCK_MAX		(2u << 20)	/* bytes, power of two */
#define EMP_SUBBLOCK_MIN	4096u		/* bytes, power of two */
#define EMP_SUBBLOCK_MAX	(128u << 10)	/* bytes, power of two */

/**
 * enum emp_map - how a region is mapped
 * @EMP_MAP_AUTO: 2 MiB blocks start as one order-9 folio mapped by PMD; one
 *	that is evicted and fetched again is then kept in subblocks
 * @EMP_MAP_SMALL: page tables only; unit of residency is the subblock
 * @EMP_MAP_HUGE: one order-9 folio a block (block size must be 2 MiB)
 */
enum emp_map {
	EMP_MAP_AUTO	= 0,
	EMP_MAP_SMALL	= 1,
	EMP_MAP_HUGE	= 2,
};

/**
 * enum emp_wipe - what destroying a region does to its bytes on the tiers
 * @EMP_WIPE_NONE: nothing
 * @EMP_WIPE_DISCARD: discard the tier's whole range (no promise that it reads as zero)
 * @EMP_WIPE_ZERO: write zeros over the tier's whole range
 */
enum emp_wipe {
	EMP_WIPE_NONE		= 0,
	EMP_WIPE_DISCARD	= 1,
	EMP_WIPE_ZERO		= 2,
};

/**
 * enum emp_redundancy - copies of what is on the tiers
 * @EMP_REDUNDANCY_NONE: one
 * @EMP_REDUNDANCY_MIRROR: two, on different devices; the second is written soon after
 * @EMP_REDUNDANCY_MIRROR_SYNC: DRAM is freed only after both were written
 * @EMP_REDUNDANCY_REPLICA: as the last, on two different memory donors
 */
enum emp_redundancy {
	EMP_REDUNDANCY_NONE		= 0,
	EMP_REDUNDANCY_MIRROR		= 1,
	EMP_REDUNDANCY_MIRROR_SYNC	= 2,
	EMP_REDUNDANCY_REPLICA		= 3,
};

/** enum emp_tier_type - kind of a tier */
enum emp_tier_type {
	EMP_TIER_BLOCK	= 1,	/* a block device, given by an open fd */
	EMP_TIER_RDMA	= 2,	/* a memory donor, given by a struct emp_donor */
	EMP_TIER_MEMDEV	= 3,	/* a NUMA node; refused: -EOPNOTSUPP for now */
};

#define EMP_DONOR_KEY_MIN	16	/* bytes of a key */
#define EMP_DONOR_KEY_MAX	64

/* struct emp_donor.flags */
#define EMP_DONOR_NOAUTH	(1u << 0) /* without a key; the donor has to agree */

/**
 * struct emp_donor - where a memory donor is and how it knows us
 * @size: sizeof(struct emp_donor)
 * @flags: EMP_DONOR_*
 * @family: AF_INET or AF_INET6
 * @port: of the donor, in this machine's byte order; not 0
 * @scope_id: interface of an IPv6 link-local address, else 0
 * @addr: address in network byte order; of AF_INET in the first 4 bytes, the
 *	others 0
 * @key_len: bytes of @key, EMP_DONOR_KEY_MIN..EMP_DONOR_KEY_MAX; 0 with
 *	EMP_DONOR_NOAUTH
 * @pad: must be 0
 * @key: shared with the donor; the rest 0. It is not kept in user space and
 *	nothing shows it again
 */
struct emp_donor {
	__u32 size;
	__u32 flags;
	__u16 family;
	__u16 port;
	__u32 scope_id;
	__u8 addr[16];
	__u32 key_len;
	__u32 pad;
	__u8 key[EMP_DONOR_KEY_MAX];
};

/**
 * struct emp_tier_spec - one tier to attach
 * @size: sizeof(struct emp_tier_spec)
 * @type: enum emp_tier_type
 * @fd: block device opened read-write; the kernel opens the device again,
 *	exclusively, and keeps it; the fd can be closed after the call.
 *	EMP_TIER_RDMA: must be -1
 * @flags: must be 0
 * @base: bytes into the device where the range begins; multiple of 4096.
 *	EMP_TIER_RDMA: user address of a struct emp_donor
 * @bytes: length of the range; multiple of the region's block size, not 0
 * @deadline_ms: limit for one operation of this tier, 1..600000;
 *	0: module parameter tier_deadline_ms
 * @queue_depth: most operations under way at once, 1..4096;
 *	0: module parameter tier_queue_depth
 * @id: number of the tier within its region, never reused. CREATE numbers its
 *	tiers from 0 in their order and ignores this; TIER_ADD writes it
 * @pad: must be 0
 *
 * Errors: EBADF @fd, ENOTBLK no block device, EACCES @fd not read-write, EBUSY
 * device mounted, claimed by others, or range overlaps another tier's,
 * ENOSPC the range is beyond the end of the device, EINVAL the rest.
 * Of EMP_TIER_RDMA: EOPNOTSUPP module emp_rdma is not there, ENODEV no RDMA
 * device leads to the address, EHOSTUNREACH, ECONNREFUSED nobody listens there,
 * ETIMEDOUT no answer, EKEYREJECTED the donor does not know our key or has not
 * ours, EPROTONOSUPPORT no version in common, EPROTO it is no donor, EAGAIN it is
 * full of clients or going away, ENOSPC it has not that much memory for us.
 * The call waits for the donor, some seconds at most, and can be killed.
 */
struct emp_tier_spec {
	__u32 size;
	__u32 type;
	__s32 fd;
	__u32 flags;
	__u64 base;
	__u64 bytes;
	__u32 deadline_ms;
	__u32 queue_depth;
	__u32 id;
	__u32 pad;
};

/* struct emp_create.flags */
#define EMP_F_AUTODESTROY	(1u << 0) /* the region goes with its last open file and mapping */
#define EMP_F_OVERCOMMIT	(1u << 1) /* tiers may be smaller than the region */
#define EMP_F_PINNABLE		(1u << 2) /* long-term pins, up to a cap; what is mapped is dirty */
#define EMP_F_CHECKSUM		(1u << 3) /* a checksum a subblock, checked on every read */
#define EMP_F_MAC		(1u << 4) /* a keyed MAC a subblock instead; not with CHECKSUM */
#define EMP_F_NO_MAC		(1u << 5) /* no MACs on account of a donor; not with MAC */
#define EMP_F_ENCRYPT		(1u << 6) /* what is on tiers is encrypted */
#define EMP_F_ALL		(EMP_F_AUTODESTROY | EMP_F_OVERCOMMIT | \
				 EMP_F_PINNABLE | EMP_F_CHECKSUM | \
				 EMP_F_MAC | EMP_F_NO_MAC | EMP_F_ENCRYPT)

/**
 * struct emp_create - EMP_IOC_CREATE: make a region and return an fd of it
 * @size: sizeof(struct emp_create)
 * @flags: EMP_F_*
 * @name: NUL-terminated
 * @bytes: size of the region; a multiple of the block size, at most
 *	2^32 - 2 blocks
 * @dram_limit: most bytes of DRAM that the region holds; at least the minimum
 *	(see /sys/fs/emp/NAME/dram_min), rounded up to whole pages
 * @block_size: bytes; 0: module parameter block_size
 * @subblock_size: bytes, at most the block size; 0: parameter subblock_size
 * @map: enum emp_map
 * @wipe: enum emp_wipe
 * @uid: owner of the file
 * @gid: group of the file
 * @mode: permission bits of the file (0600 is usual); others refused
 * @nr_tiers: elements of @tiers, 0..EMP_TIERS_MAX
 * @tiers: user address of an array of struct emp_tier_spec, fastest first
 * @pin_limit: most bytes of DRAM under long-term pins, with EMP_F_PINNABLE only;
 *	0: default (see /sys/fs/emp/NAME/pin_limit)
 * @redundancy: enum emp_redundancy
 * @pad: must be 0
 *
 * Returns: fd (O_RDWR|O_CLOEXEC), or -1 with errno EPERM, EINVAL, E2BIG,
 * EEXIST name taken, ENOSPC the tiers do not hold the region, twice with
 * redundancy (and neither does its DRAM), EDOM @dram_limit below the minimum or
 * @pin_limit too near to it, ENOMEM, EFAULT, EMFILE, ENFILE, EINTR killed while it
 * waited for a teardown, ENOENT EMP_F_ENCRYPT and the kernel has no AES in XTS
 * mode, or an error of a tier. Nothing is created on error.
 */
struct emp_create {
	__u32 size;
	__u32 flags;
	char name[EMP_NAME_LEN];
	__u64 bytes;
	__u64 dram_limit;
	__u32 block_size;
	__u32 subblock_size;
	__u32 map;
	__u32 wipe;
	__u32 uid;
	__u32 gid;
	__u32 mode;
	__u32 nr_tiers;
	__u64 tiers;
	__u64 pin_limit;
	__u32 redundancy;
	__u32 pad;
};

/**
 * struct emp_destroy - EMP_IOC_DESTROY: remove a region that nobody has open
 * @size: sizeof(struct emp_destroy)
 * @flags: must be 0
 * @name: NUL-terminated
 *
 * Errors: ENOENT, EBUSY the file is open or mapped, EINVAL.
 */
struct emp_destroy {
	__u32 size;
	__u32 flags;
	char name[EMP_NAME_LEN];
};

/**
 * struct emp_tier_add - EMP_IOC_TIER_ADD: attach one more tier, as the slowest
 * @size: sizeof(struct emp_tier_add)
 * @flags: must be 0
 * @name: of the region
 * @tier: see there; @tier.id is written back
 *
 * Errors: ENOENT no such region, ENOSPC too many tiers, those of a tier.
 */
struct emp_tier_add {
	__u32 size;
	__u32 flags;
	char name[EMP_NAME_LEN];
	struct emp_tier_spec tier;
};

/* struct emp_tier_remove.flags */
#define EMP_TIER_REMOVE_FORCE	(1u << 0) /* give up what cannot be read: it is lost for good */

/**
 * struct emp_tier_remove - EMP_IOC_TIER_REMOVE: drain a tier, then detach it
 * @size: sizeof(struct emp_tier_remove)
 * @flags: EMP_TIER_REMOVE_*
 * @name: of the region
 * @id: of the tier
 * @timeout_ms: give up after this long, 0: 600000
 *
 * What the tier holds is moved to the others first. Interruptible; when it
 * ends early (EINTR, ETIMEDOUT) the tier stays attached, takes nothing new,
 * and a second call goes on.
 * Errors: ENOENT no such region or tier, ENOSPC the others cannot hold the
 * region, EIO data that cannot be read is left on it (without FORCE), ENOMEM,
 * EBUSY another removal is under way.
 */
struct emp_tier_remove {
	__u32 size;
	__u32 flags;
	char name[EMP_NAME_LEN];
	__u32 id;
	__u32 timeout_ms;
};

/**
 * struct emp_list - EMP_IOC_LIST: names of all regions
 * @size: sizeof(struct emp_list)
 * @flags: must be 0
 * @names: user address of an array of char[EMP_NAME_LEN]
 * @capacity: elements of @names
 * @count: out: regions there are; only the first @capacity are written
 */
struct emp_list {
	__u32 size;
	__u32 flags;
	__u64 names;
	__u32 capacity;
	__u32 count;
};

/**
 * struct emp_info - EMP_IOC_INFO: what this module can do
 * @size: sizeof(struct emp_info)
 * @abi: out: EMP_ABI
 * @create_flags: out: mask of known EMP_F_*
 * @tier_types: out: mask of (1 << enum emp_tier_type) that are built
 * @version: out: NUL-terminated version of the module
 */
struct emp_info {
	__u32 size;
	__u32 abi;
	__u32 create_flags;
	__u32 tier_types;
	char version[32];
};

/** enum emp_event_type - what happened */
enum emp_event_type {
	EMP_EVENT_REGION_CREATED	= 1,
	EMP_EVENT_REGION_DESTROYED	= 2,
	EMP_EVENT_TIER_ADDED		= 3,
	EMP_EVENT_TIER_REMOVED		= 4,
	EMP_EVENT_TIER_DEGRADED		= 5,	/* write or read errors, or past its deadline */
	EMP_EVENT_TIER_LOST		= 6,	/* the device is gone */
	EMP_EVENT_NO_SPACE		= 7,	/* nowhere to write back to */
	EMP_EVENT_DATA_LOST		= 8,	/* a subblock cannot be read */
	EMP_EVENT_TIER_RECOVERED	= 9,	/* a degraded tier works again */
	EMP_EVENT_OVERRUN		= 10,	/* the reader was too slow: events are missing */
};

/**
 * struct emp_event - one record of read(2) on /dev/emp-control
 * @seq: number of the event, from 1
 * @time_ns: CLOCK_BOOTTIME
 * @type: enum emp_event_type
 * @tier: number of the tier, or ~0
 * @name: of the region
 *
 * read() returns whole records only (EINVAL if the buffer is smaller than
 * one), those after the file was opened; poll() says POLLIN when there are any.
 * O_NONBLOCK: EAGAIN when there are none.
 */
struct emp_event {
	__u64 seq;
	__u64 time_ns;
	__u32 type;
	__u32 tier;
	char name[EMP_NAME_LEN];
};

#define EMP_IOC_MAGIC		0xE9
#define EMP_IOC_INFO		_IOWR(EMP_IOC_MAGIC, 0, struct emp_info)
#define EMP_IOC_CREATE		_IOW(EMP_IOC_MAGIC, 1, struct emp_create)
#define EMP_IOC_DESTROY		_IOW(EMP_IOC_MAGIC, 2, struct emp_destroy)
#define EMP_IOC_LIST		_IOWR(EMP_IOC_MAGIC, 3, struct emp_list)
#define EMP_IOC_TIER_ADD	_IOWR(EMP_IOC_MAGIC, 4, struct emp_tier_add)
#define EMP_IOC_TIER_REMOVE	_IOW(EMP_IOC_MAGIC, 5, struct emp_tier_remove)

#endif
