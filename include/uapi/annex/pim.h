/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Annex processing in memory (pim): what user space and pim.ko share.
 *
 * A *rank* is up to 64 DPUs behind up to 8 control interfaces. A *provider*, a
 * privileged program, adds ranks by /dev/pim-control and serves them: it gets a
 * file for each, maps two rings and the rank's MRAM through it, and answers
 * requests. Who uses ranks holds a *lease* of each: programs on this host by
 * opening /dev/dpu_rankN (pim_local.ko), guests by pim_mdev.ko, or by PIM_IOC_LEASE on
 * /dev/pim-arbiter, which also lists ranks and owners and tells events.
 *
 * Every structure of an ioctl begins with its own size in bytes, so that it can
 * grow: a kernel that is given a larger structure than it knows accepts it only
 * if the unknown tail is zero (else E2BIG); a smaller one is padded with zeros.
 * Unknown flag bits and non-zero padding are refused with EINVAL. EFAULT and
 * ENOMEM are not mentioned further. Unknown calls are ENOTTY.
 */
#ifndef _UAPI_ANNEX_PIM_H
#define _UAPI_ANNEX_PIM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/** PIM_ABI - version of this interface; raised on an incompatible change. */
#define PIM_ABI			1

#define PIM_CIS_MAX		8	/* control interfaces of a rank */
#define PIM_DPUS_MAX		64	/* DPUs of a rank; index = 8 * member + interface */
#define PIM_RANKS_MAX		1024	/* ranks of a host; ids are below */
#define PIM_RING_MAX		256	/* requests of a rank under way at once */
#define PIM_VPD_MAX		2048	/* bytes of vital product data */
#define PIM_NAME_LEN		32	/* bytes of a name with its NUL, printable ASCII */
#define PIM_ID_ANY		0xffffffffu
#define PIM_PRIORITY_MAX	7u	/* of an owner: 0 is served last */

/**
 * struct pim_info - PIM_IOC_INFO on any of the devices: what this module can do
 * @size: sizeof(struct pim_info)
 * @abi: out: PIM_ABI
 * @rank_flags: out: mask of known PIM_RANK_F_*
 * @lease_flags: out: mask of known PIM_LEASE_F_*
 * @version: out: NUL-terminated version of the module
 */
struct pim_info {
	__u32 size;
	__u32 abi;
	__u32 rank_flags;
	__u32 lease_flags;
	char version[32];
};

/* --- /dev/pim-control: CAP_SYS_ADMIN in the initial user namespace, else EPERM --- */

/* struct pim_rank_add.flags */
#define PIM_RANK_F_XFER		(1u << 0) /* transfers ask for PIM_OP_LOAD, PIM_OP_STORE */
#define PIM_RANK_F_SAVE		(1u << 1) /* knows PIM_OP_SAVE, PIM_OP_RESTORE; not with XFER */
#define PIM_RANK_F_ALL		(PIM_RANK_F_XFER | PIM_RANK_F_SAVE)

/** PIM_STATE_BYTES_MAX - a saved state, without MRAM, at most */
#define PIM_STATE_BYTES_MAX	(64u << 20)

/**
 * struct pim_rank_add - PIM_IOC_RANK_ADD: serve a rank; returns its file
 * @size: sizeof(struct pim_rank_add)
 * @flags: PIM_RANK_F_*
 * @id: number of the rank; PIM_ID_ANY: the lowest free one; written back. A
 *	rank of that number whose provider is gone is taken over: it must have
 *	the same @nr_cis, @nr_dpus_per_ci and @mram_size
 * @depth: requests under way at once, a power of two up to PIM_RING_MAX; 0: 64
 * @nr_cis: control interfaces, 1..8
 * @nr_dpus_per_ci: 1..8
 * @mram_size: bytes a DPU, a multiple of 4096, up to 1 GiB
 * @chip_id: what the rank answers to IDENTITY
 * @fck_mhz: 0: 800
 * @clock_division: 0: 4
 * @channel_id: memory channel; 255: unknown
 * @rank_index: place on its DIMM, not 255
 * @rank_count: ranks of its DIMM; 0: 1
 * @ci_mask: interfaces in use, not more than there are; 0: all
 * @deadline_ms: for one request, 1..600000; 0: module parameter deadline_ms
 * @byte_order: answer of the byte order command, 0: the usual
 * @provider: name of the provider, for people
 * @mcu_version: text or ""
 * @part_number: text or ""
 * @serial_number: text or ""
 * @vpd: user address of vital product data, or 0
 * @vpd_bytes: of it, up to PIM_VPD_MAX
 * @state_bytes: with PIM_RANK_F_SAVE: what PIM_OP_SAVE gives at most, 1 to
 *	PIM_STATE_BYTES_MAX; else 0
 *
 * The file (O_RDWR, O_CLOEXEC) is the provider's hold on the rank. When it is
 * closed, or its provider dies, everything that is under way ends with EIO, the
 * lease is broken, and the rank stays as faulty until another provider takes
 * it over or PIM_IOC_RANK_REMOVE. It is closed when no file descriptor, no mapping
 * of the rings and no command of io_uring is left: do not let children inherit it.
 * Contents of MRAM go with the provider.
 *
 * The first request is PIM_OP_RESET: until it is answered the rank is scrubbing.
 * Errors: EINVAL, EEXIST a rank of that number has a provider, ENOSPC no number
 * left, EMFILE.
 */
struct pim_rank_add {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 depth;
	__u32 nr_cis;
	__u32 nr_dpus_per_ci;
	__u64 mram_size;
	__u32 chip_id;
	__u32 fck_mhz;
	__u32 clock_division;
	__u32 channel_id;
	__u32 rank_index;
	__u32 rank_count;
	__u32 ci_mask;
	__u32 deadline_ms;
	__u64 byte_order[PIM_CIS_MAX];
	char provider[PIM_NAME_LEN];
	char mcu_version[32];
	char part_number[32];
	char serial_number[16];
	__u64 vpd;
	__u32 vpd_bytes;
	__u32 state_bytes;
};

/**
 * struct pim_rank_id - names a rank: PIM_IOC_RANK_REMOVE, PIM_IOC_REVOKE
 * @size: sizeof(struct pim_rank_id)
 * @flags: must be 0
 * @id: of the rank
 * @pad: must be 0
 *
 * PIM_IOC_RANK_REMOVE takes the rank away, provider and lease or not: what is
 * under way ends with EIO, its /dev/dpu_rankN goes.
 * Errors: EINVAL, ENOENT no such rank.
 */
struct pim_rank_id {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 pad;
};

/* --- a rank's file, for its provider --- */

/*
 * mmap offset 0: the rings, PROT_READ|PROT_WRITE, MAP_SHARED, of as many bytes
 * as struct pim_ring says (PIM_RING_BYTES() of the depth).
 */
#define PIM_MMAP_RING		0ull
/*
 * mmap offset: MRAM, MAP_SHARED. DPU i (8 * member + interface) begins at
 * i * mram_size; DPUs that the rank does not have take address space only.
 * Pages come when they are touched, and read as zero after a reset.
 */
#define PIM_MMAP_MRAM		(1ull << 40)

/** enum pim_op - what the provider is asked for */
enum pim_op {
	PIM_OP_RESET	= 1,	/* complete all requests before it; stop all DPUs; WRAM, IRAM,
				 * registers, run and atomic bits, faults to zero, control
				 * interfaces as after power-on; leave MRAM as it is, and
				 * do not write to it any more: pim.ko drops its pages when
				 * this is answered, or keeps them for their owner
				 */
	PIM_OP_COMMIT	= 2,	/* words: a command for each interface, 0 for none; the answer's
				 * words are the result words
				 */
	PIM_OP_UPDATE	= 3,	/* the answer's words are the current result words */
	PIM_OP_LOAD	= 4,	/* PIM_RANK_F_XFER: put the range into the mapped MRAM, it is
				 * going to be read
				 */
	PIM_OP_STORE	= 5,	/* PIM_RANK_F_XFER: the range of the mapped MRAM was written */
	PIM_OP_SAVE	= 6,	/* PIM_RANK_F_SAVE: give all that PIM_OP_RESET clears to
				 * PIM_IOC_STATE_PUT, then unmap MRAM. -EBUSY while a DPU runs;
				 * after an error all is as it was
				 */
	PIM_OP_RESTORE	= 7,	/* PIM_RANK_F_SAVE: map MRAM again, it is another one, and be
				 * what PIM_IOC_STATE_GET tells. Judge it before: after an
				 * error there is a reset
				 */
};

/*
 * Saved and restored: MRAM is not copied, its pages go with the owner. So a
 * provider that has answered PIM_OP_SAVE must have no mapping of it any more,
 * and maps it again (PIM_MMAP_MRAM) in the request that follows, which is
 * PIM_OP_RESET; and one that has answered PIM_OP_RESTORE none of that from
 * before. The kernel looks, and ends a provider that has one.
 */

/**
 * struct pim_request - one element of the ring of requests
 * @tag: to be given back in the completion
 * @op: enum pim_op
 * @seq: number of the request of this file, from 1
 * @mask: of DPUs, for PIM_OP_LOAD and PIM_OP_STORE
 * @offset: into the MRAM of each of them, bytes
 * @bytes: of each of them
 * @words: for PIM_OP_COMMIT
 * @reserved: 0
 *
 * Requests are to be executed as if one after the other in the order of the
 * ring; they may be completed in any order, but for a reset.
 */
struct pim_request {
	__u32 tag;
	__u32 op;
	__u64 seq;
	__u64 mask;
	__u64 offset;
	__u64 bytes;
	__u64 words[PIM_CIS_MAX];
	__u64 reserved[3];
};

/**
 * struct pim_completion - one element of the ring of completions
 * @tag: of the request
 * @result: 0, or a negative errno (-4095..-1): then it fails with EIO
 * @seq: of the request
 * @words: result words, for PIM_OP_COMMIT and PIM_OP_UPDATE
 * @reserved: must be 0
 */
struct pim_completion {
	__u32 tag;
	__s32 result;
	__u64 seq;
	__u64 words[PIM_CIS_MAX];
	__u64 reserved[6];
};

/**
 * struct pim_ring - the head of the mapped rings
 * @req_prod: requests that the kernel has put into the ring so far (modulo
 *	2^32); read it with acquire semantics. Element n is @req[n % depth]
 * @cmp_prod: completions that the provider has put there; write it with
 *	release semantics, then PIM_IOC_RUN
 * @depth: elements of each ring
 * @req_offset: of the requests from the head, bytes
 * @cmp_offset: of the completions
 * @bytes: of all
 *
 * The kernel reads nothing back that it wrote. A completion that does not fit
 * a request under way (wrong tag, seq, result or reserved; more completions
 * than requests) ends the provider: ESHUTDOWN from PIM_IOC_RUN.
 */
struct pim_ring {
	__u32 req_prod;
	__u32 pad0[15];
	__u32 cmp_prod;
	__u32 pad1[15];
	__u32 depth;
	__u32 req_offset;
	__u32 cmp_offset;
	__u32 bytes;
	__u32 pad2[12];
};

#define PIM_RING_BYTES(depth) \
	(sizeof(struct pim_ring) + \
	 (depth) * (sizeof(struct pim_request) + sizeof(struct pim_completion)))

/* struct pim_run.flags */
#define PIM_RUN_NOWAIT		(1u << 0) /* only take the completions */

/**
 * struct pim_run - PIM_IOC_RUN: take completions, wait for requests
 * @size: sizeof(struct pim_run)
 * @flags: PIM_RUN_*
 * @seen: req_prod up to which the provider has taken requests
 * @timeout_ms: wait at most this long, up to 3600000; 0: for ever
 * @req_prod: out: as in the ring; other than @seen: there are new requests
 * @pad: must be 0
 *
 * Returns 0 also when the time is over. Errors: EINTR a signal, ESHUTDOWN the
 * rank was removed, a request was not answered in time, or the rings are not as
 * they must be: close the file. poll() on the file says POLLIN when there are
 * requests that no PIM_IOC_RUN has reported, and POLLHUP for ESHUTDOWN.
 */
struct pim_run {
	__u32 size;
	__u32 flags;
	__u32 seen;
	__u32 timeout_ms;
	__u32 req_prod;
	__u32 pad;
};

/**
 * struct pim_uring_run - PIM_URING_RUN: PIM_IOC_RUN as a command of io_uring
 * @seen: as in struct pim_run
 * @flags: PIM_RUN_*
 * @pad: must be 0
 *
 * IORING_OP_URING_CMD with cmd_op PIM_URING_RUN; this is what the cmd of its SQE
 * holds. Completions are taken when it is submitted. Its CQE comes when there are
 * requests beyond @seen, with res 0; the ring of requests says how many. One of a
 * file may wait at a time; those with PIM_RUN_NOWAIT do not. Other res: -EBUSY one
 * waits already, -ECANCELED the ring or the task that made it goes, -ESHUTDOWN as
 * PIM_IOC_RUN, -EINVAL, -ENOTTY another cmd_op; -EOPNOTSUPP kernels that cannot
 * cancel such commands, before 6.8: use PIM_IOC_RUN.
 */
struct pim_uring_run {
	__u32 seen;
	__u32 flags;
	__u64 pad;
};

#define PIM_URING_RUN		1u

/**
 * struct pim_eventfd - PIM_IOC_EVENTFD: signal an eventfd for each new request
 * @size: sizeof(struct pim_eventfd)
 * @fd: an eventfd; -1: none any more
 */
struct pim_eventfd {
	__u32 size;
	__s32 fd;
};

/**
 * struct pim_state_io - PIM_IOC_STATE_PUT, PIM_IOC_STATE_GET: a saved state
 * @size: sizeof(struct pim_state_io)
 * @bytes: of it, PUT: up to the rank's state_bytes; GET: in: room for it, out: its
 *	length
 * @buf: user address
 *
 * PUT is for the PIM_OP_SAVE that is under way: all of the state at once, what was
 * put before is replaced. GET is for PIM_OP_RESTORE: what a PUT gave, perhaps
 * long ago, to another process that served this rank or one like it. The kernel
 * does not look into it.
 * Errors: EINVAL, ENOENT no such request is under way, E2BIG too many bytes (GET:
 * they do not fit; @bytes is how many there are).
 */
struct pim_state_io {
	__u32 size;
	__u32 bytes;
	__u64 buf;
};

/* --- /dev/pim-arbiter --- */

/** enum pim_state - of a rank */
enum pim_state {
	PIM_STATE_FREE		= 0,	/* clean, or kept for who had it; nobody has it */
	PIM_STATE_LEASED	= 1,
	PIM_STATE_DRAINING	= 2,	/* the lease ended, what is under way has not */
	PIM_STATE_SCRUBBING	= 3,	/* being cleaned for the next owner */
	PIM_STATE_FAULTY	= 4,	/* nobody serves it */
	PIM_STATE_SAVING	= 5,	/* leased, being taken from its owner, who will be back */
	PIM_STATE_RESTORING	= 6,	/* leased again, what was saved is being put back */
};

/** enum pim_owner_kind - what an owner is */
enum pim_owner_kind {
	PIM_OWNER_NONE	= 0,
	PIM_OWNER_USER	= 1,	/* a user of this host, by uid */
	PIM_OWNER_VM	= 2,	/* a virtual machine, for the user that runs it */
};

/**
 * struct pim_rank_state - PIM_IOC_RANK_STATE: one rank
 * @size: sizeof(struct pim_rank_state)
 * @id: in: the first rank of at least this number; out: its number
 * @state: out: enum pim_state
 * @offline: out: 1: no new leases (sysfs: offline)
 * @nr_cis: out
 * @nr_dpus_per_ci: out
 * @mram_size: out
 * @mram_used: out: bytes of memory that its MRAM takes
 * @provider: out: name, "" if there is none
 * @provider_pid: out: process that added it, 0 if there is none
 * @owner_kind: out: enum pim_owner_kind of who has the lease
 * @owner_uid: out: uid of the owner: the user, or who runs the machine
 * @owner_pid: out: process that took the lease
 * @owner_comm: out: name of that process, or of the machine
 * @lease: out: number of the lease, 0 none
 * @busy_ns: out: time in which requests or transfers were under way, sum
 * @commands: out: commits and updates served by the provider, sum
 * @bytes_in: out: bytes to MRAM, sum
 * @bytes_out: out: bytes from MRAM, sum
 * @local: out: N of its /dev/dpu_rankN, PIM_ID_ANY if it has none
 * @kept: out: 1: it is free, and its MRAM is kept for the owner it had last
 *
 * Errors: ENOENT there is none.
 */
struct pim_rank_state {
	__u32 size;
	__u32 id;
	__u32 state;
	__u32 offline;
	__u32 nr_cis;
	__u32 nr_dpus_per_ci;
	__u64 mram_size;
	__u64 mram_used;
	char provider[PIM_NAME_LEN];
	__u32 provider_pid;
	__u32 owner_kind;
	__u32 owner_uid;
	__u32 owner_pid;
	char owner_comm[PIM_NAME_LEN];
	__u64 lease;
	__u64 busy_ns;
	__u64 commands;
	__u64 bytes_in;
	__u64 bytes_out;
	__u32 local;
	__u32 kept;
};

/* struct pim_lease_req.flags */
#define PIM_LEASE_F_NOWAIT	(1u << 0) /* EAGAIN instead of waiting */
#define PIM_LEASE_F_ALL		(PIM_LEASE_F_NOWAIT)

/**
 * struct pim_lease_req - PIM_IOC_LEASE: have a rank for oneself; returns a file
 * @size: sizeof(struct pim_lease_req)
 * @flags: PIM_LEASE_F_*
 * @id: of the rank; PIM_ID_ANY: any; the one that it became is written back
 * @timeout_ms: wait at most this long; 0: for ever
 * @expire_ms: end the lease after this long; 0: never
 * @pad: must be 0
 * @lease: out: number of the lease
 *
 * Needs the device opened for writing (else EBADF). While the file is open the
 * rank is the caller's: its /dev/dpu_rankN can be opened by processes of the
 * caller's uid only, as often as they like, and keeps its contents from one to
 * the next. Who waits is served by the owner's priority, then who holds fewer
 * ranks, then by time. poll() on the file says POLLHUP when the lease ended
 * before its time: revoked, expired, provider or rank gone.
 * Errors: EINVAL, ENOENT no such rank, EAGAIN, ETIMEDOUT, EINTR, EDQUOT the owner
 * may not have more ranks, EMFILE.
 */
struct pim_lease_req {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 timeout_ms;
	__u32 expire_ms;
	__u32 pad;
	__u64 lease;
};

/*
 * PIM_IOC_REVOKE (struct pim_rank_id): end the lease of a rank; what its owner
 * has under way ends, and everything after that is EIO. CAP_SYS_ADMIN.
 * Errors: EINVAL, ENOENT no such rank, ESRCH it is not leased.
 */

/**
 * struct pim_lease_id - PIM_IOC_LEASE_REVOKE: the same for a lease by its number,
 *	one that is parked, too
 * @size: sizeof(struct pim_lease_id)
 * @flags: must be 0
 * @lease: its number
 *
 * Errors: EINVAL, EPERM, ESRCH there is no such lease (any more).
 */
struct pim_lease_id {
	__u32 size;
	__u32 flags;
	__u64 lease;
};

/** PIM_KEEP_MAX_MS - milliseconds that MRAM can be kept, and be idle, at most */
#define PIM_KEEP_MAX_MS		86400000u

/**
 * struct pim_parked_state - PIM_IOC_PARKED_STATE: a lease that has no rank now
 * @size: sizeof(struct pim_parked_state)
 * @waiting: out: calls of its owner that wait for a rank
 * @lease: in: the first lease of at least this number; out: its number
 * @owner_kind: out: enum pim_owner_kind
 * @owner_uid: out
 * @owner_pid: out: process that took the lease
 * @state_bytes: out: bytes of the saved state
 * @owner_comm: out: name of that process, or of the machine
 * @mram_used: out: bytes that its MRAM takes
 * @since_ns: out: CLOCK_BOOTTIME when it was saved
 *
 * Errors: ENOENT there is none.
 */
struct pim_parked_state {
	__u32 size;
	__u32 waiting;
	__u64 lease;
	__u32 owner_kind;
	__u32 owner_uid;
	__u32 owner_pid;
	__u32 state_bytes;
	char owner_comm[PIM_NAME_LEN];
	__u64 mram_used;
	__u64 since_ns;
};

/**
 * struct pim_owner_state - PIM_IOC_OWNER_GET, PIM_IOC_OWNER_SET
 * @size: sizeof(struct pim_owner_state)
 * @flags: must be 0
 * @uid: GET: in: the first owner of at least this uid; out: it. SET: the owner
 * @max_ranks: ranks that it may have at once; PIM_ID_ANY: no limit
 * @priority: 0..PIM_PRIORITY_MAX; 4 unless set
 * @ranks: out: ranks that it has
 * @waiting: out: leases that it waits for
 * @keep_ms: MRAM of a rank that it gave back is kept for it that long, unless
 *	somebody else needs the rank; 0: not at all, up to PIM_KEEP_MAX_MS
 * @leases: out: leases it ever had
 * @busy_ns: out: sum over its leases, as of a rank
 * @commands: out: sum
 * @bytes_in: out: sum
 * @bytes_out: out: sum
 * @idle_ms: a rank of its that was idle that long is saved, and given to who
 *	waits, until its owner uses it again; 0: never, up to PIM_KEEP_MAX_MS
 * @max_parked: leases that may be without a rank at once; PIM_ID_ANY: no limit
 * @max_parked_bytes: and bytes saved for them; 0: no limit
 * @parked: out: leases that are without a rank now
 * @pad: must be 0
 * @parked_bytes: out: bytes saved for them
 *
 * An owner is known from its first lease or SET on. SET needs CAP_SYS_ADMIN and
 * sets @max_ranks, @priority, @keep_ms, @idle_ms and what may be parked; it takes no
 * lease away from anybody. Parked leases count for @max_ranks, not in @ranks.
 * Errors: EINVAL, ENOENT GET: there is none, EPERM, ENOSPC too many owners.
 */
struct pim_owner_state {
	__u32 size;
	__u32 flags;
	__u32 uid;
	__u32 max_ranks;
	__u32 priority;
	__u32 ranks;
	__u32 waiting;
	__u32 keep_ms;
	__u64 leases;
	__u64 busy_ns;
	__u64 commands;
	__u64 bytes_in;
	__u64 bytes_out;
	__u32 idle_ms;
	__u32 max_parked;
	__u64 max_parked_bytes;
	__u32 parked;
	__u32 pad;
	__u64 parked_bytes;
};

/** enum pim_event_type - what happened */
enum pim_event_type {
	PIM_EVENT_RANK_ADDED		= 1,
	PIM_EVENT_RANK_REMOVED		= 2,
	PIM_EVENT_LEASED		= 3,
	PIM_EVENT_RELEASED		= 4,	/* by its owner */
	PIM_EVENT_REVOKED		= 5,	/* by an administrator, or it expired */
	PIM_EVENT_SCRUBBED		= 6,	/* and free */
	PIM_EVENT_PROVIDER_GONE		= 7,	/* its file was closed */
	PIM_EVENT_PROVIDER_TIMEOUT	= 8,	/* it did not answer in time */
	PIM_EVENT_PROVIDER_BROKEN	= 9,	/* what it put into the rings makes no sense */
	PIM_EVENT_TAKEN_OVER		= 10,	/* by a new provider */
	PIM_EVENT_OVERRUN		= 11,	/* the reader was too slow: events are missing */
	PIM_EVENT_PARKED		= 12,	/* saved, and taken from its owner for another */
	PIM_EVENT_RESTORED		= 13,	/* its owner has it back, as it was */
};

/**
 * struct pim_event - one record of read(2) on /dev/pim-arbiter
 * @seq: number of the event, from 1
 * @time_ns: CLOCK_BOOTTIME
 * @type: enum pim_event_type
 * @id: of the rank; PIM_ID_ANY for OVERRUN
 * @lease: number of the lease it is about, or 0
 *
 * read() returns whole records only (EINVAL if the buffer is smaller than
 * one), those after the file was opened; poll() says POLLIN when there are any.
 * O_NONBLOCK: EAGAIN when there are none.
 */
struct pim_event {
	__u64 seq;
	__u64 time_ns;
	__u32 type;
	__u32 id;
	__u64 lease;
};

#define PIM_IOC_MAGIC		0xEA
#define PIM_IOC_INFO		_IOWR(PIM_IOC_MAGIC, 0, struct pim_info)
#define PIM_IOC_RANK_ADD	_IOWR(PIM_IOC_MAGIC, 1, struct pim_rank_add)
#define PIM_IOC_RANK_REMOVE	_IOW(PIM_IOC_MAGIC, 2, struct pim_rank_id)
#define PIM_IOC_RUN		_IOWR(PIM_IOC_MAGIC, 3, struct pim_run)
#define PIM_IOC_EVENTFD		_IOW(PIM_IOC_MAGIC, 4, struct pim_eventfd)
#define PIM_IOC_RANK_STATE	_IOWR(PIM_IOC_MAGIC, 5, struct pim_rank_state)
#define PIM_IOC_LEASE		_IOWR(PIM_IOC_MAGIC, 6, struct pim_lease_req)
#define PIM_IOC_REVOKE		_IOW(PIM_IOC_MAGIC, 7, struct pim_rank_id)
#define PIM_IOC_OWNER_GET	_IOWR(PIM_IOC_MAGIC, 8, struct pim_owner_state)
#define PIM_IOC_OWNER_SET	_IOW(PIM_IOC_MAGIC, 9, struct pim_owner_state)
#define PIM_IOC_STATE_PUT	_IOW(PIM_IOC_MAGIC, 10, struct pim_state_io)
#define PIM_IOC_STATE_GET	_IOWR(PIM_IOC_MAGIC, 11, struct pim_state_io)
#define PIM_IOC_PARKED_STATE	_IOWR(PIM_IOC_MAGIC, 12, struct pim_parked_state)
#define PIM_IOC_LEASE_REVOKE	_IOW(PIM_IOC_MAGIC, 13, struct pim_lease_id)

#endif
