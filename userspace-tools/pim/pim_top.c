// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tables of pimctl top.
 */
#include "pim_top.h"

#include <stdlib.h>
#include <string.h>

#include "../lib/ax_size.h"
#include "pim_client.h"

/* What a rank, or a machine, did in a second. */
struct rates {
	double busy;	/* percent of the time */
	double commands, in, out, leases;
};

void pim_top_free(struct pim_top *top)
{
	free(top->ranks);
	free(top->owners);
	free(top->vms);
	memset(top, 0, sizeof(*top));
}

/* A counter that went back is of something new with the old number. */
static double rate(uint64_t before, uint64_t after, double seconds)
{
	if (after < before || seconds <= 0)
		return 0;
	return (double)(after - before) / seconds;
}

/* What is not known of before did nothing yet: no rates from all it ever did. */
static struct rates rank_rates(const struct pim_top *before, const struct pim_top *after,
			       const struct pim_top_rank *rank)
{
	double seconds = after->time - before->time;
	const struct pim_top_rank *old = NULL;
	struct rates r = { 0 };

	for (uint32_t i = 0; i < before->nr_ranks && !old; i++) {
		if (before->ranks[i].st.id == rank->st.id)
			old = &before->ranks[i];
	}
	if (!old)
		return r;
	r.busy = rate(old->st.busy_ns, rank->st.busy_ns, seconds) / 1e7;
	if (r.busy > 100)	/* the two clocks are not read at once */
		r.busy = 100;
	r.commands = rate(old->st.commands, rank->st.commands, seconds);
	r.in = rate(old->st.bytes_in, rank->st.bytes_in, seconds);
	r.out = rate(old->st.bytes_out, rank->st.bytes_out, seconds);
	r.leases = rate(old->leases, rank->leases, seconds);
	return r;
}

static double vm_rate(const struct pim_top *before, const struct pim_top *after,
		      const struct pimctl_vm *vm, int counter)
{
	for (uint32_t i = 0; i < before->nr_vms; i++) {
		if (!strcmp(before->vms[i].uuid, vm->uuid))
			return rate(before->vms[i].counters[counter], vm->counters[counter],
				    after->time - before->time);
	}
	return 0;
}

static uint32_t parked(const struct pim_top *top)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < top->nr_owners; i++)
		n += top->owners[i].parked;
	return n;
}

static uint32_t waiting(const struct pim_top *top)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < top->nr_owners; i++)
		n += top->owners[i].waiting;
	return n;
}

/* --- text ------------------------------------------------------------------------ */

static void summary(FILE *out, const struct pim_top *top)
{
	uint32_t in_state[8] = { 0 };

	for (uint32_t i = 0; i < top->nr_ranks; i++)
		in_state[top->ranks[i].st.state & 7]++;
	fprintf(out, "ranks: %u", top->nr_ranks);
	for (uint32_t state = 0; state < 8; state++) {
		if (in_state[state])
			fprintf(out, ", %u %s", in_state[state], pim_state_name(state));
	}
	fprintf(out, "; waiting: %u", waiting(top));
	for (uint32_t i = 0; i < top->nr_owners; i++) {
		if (top->owners[i].waiting)
			fprintf(out, ", %u of uid %u", top->owners[i].waiting, top->owners[i].uid);
	}
	if (parked(top))
		fprintf(out, "; parked: %u", parked(top));
	putc('\n', out);
}

static void rank_line(FILE *out, const struct pim_top_rank *rank, const struct rates *r)
{
	const struct pim_rank_state *st = &rank->st;
	const char *mark = st->offline ? "*" : st->kept ? "+" : " ";
	char owner[96] = "-", used[AX_HUMAN];

	if (st->owner_kind == PIM_OWNER_VM)
		snprintf(owner, sizeof(owner), "%s (uid %u)", st->owner_comm, st->owner_uid);
	else if (st->owner_kind)
		snprintf(owner, sizeof(owner), "%s[%u] (uid %u)", st->owner_comm, st->owner_pid,
			 st->owner_uid);
	fprintf(out, "%4u %-9s%s %6.1f %9.0f %9.1f %9.1f %10s %8llu  %s\n", st->id,
		pim_state_name(st->state), mark, r->busy, r->commands,
		r->in / 1e6, r->out / 1e6, ax_human_size(st->mram_used, used),
		(unsigned long long)rank->leases, owner);
}

void pim_top_print(FILE *out, const struct pim_top *before, const struct pim_top *after)
{
	bool offline = false, kept = false;

	summary(out, after);
	fprintf(out, "%4s %-10s %6s %9s %9s %9s %10s %8s  %s\n", "RANK", "STATE", "BUSY %",
		"COMMAND/S", "IN MB/S", "OUT MB/S", "MRAM USED", "LEASES", "OWNER");
	for (uint32_t i = 0; i < after->nr_ranks; i++) {
		struct rates r = rank_rates(before, after, &after->ranks[i]);

		rank_line(out, &after->ranks[i], &r);
		offline |= after->ranks[i].st.offline;
		kept |= after->ranks[i].st.kept && !after->ranks[i].st.offline;
	}
	if (offline)
		fprintf(out, "     * offline\n");
	if (kept)
		fprintf(out, "     + kept for its last owner\n");
	if (!after->nr_vms)
		return;
	fprintf(out, "%-20s %5s %-12s %9s %9s %9s %9s\n", "MACHINE", "RANKS", "HAS", "REQUEST/S",
		"COMMIT/S", "KICK/S", "INTR/S");
	for (uint32_t i = 0; i < after->nr_vms; i++) {
		const struct pimctl_vm *vm = &after->vms[i];

		fprintf(out, "%-20.31s %5lu %-12s %9.0f %9.0f %9.0f %9.0f\n", vm->name, vm->ranks,
			vm->opened ? vm->leases : "not running",
			vm_rate(before, after, vm, PIMCTL_VM_REQUESTS),
			vm_rate(before, after, vm, PIMCTL_VM_COMMITS),
			vm_rate(before, after, vm, PIMCTL_VM_KICKS),
			vm_rate(before, after, vm, PIMCTL_VM_INTERRUPTS));
	}
}

/* --- JSON ------------------------------------------------------------------------ */

static json_t *rank_json(const struct pim_top_rank *rank, const struct rates *r)
{
	const struct pim_rank_state *st = &rank->st;
	json_t *o = json_pack("{s:I, s:s, s:b, s:b, s:f, s:f, s:f, s:f, s:I, s:I, s:f}",
			      "rank", (json_int_t)st->id, "state", pim_state_name(st->state),
			      "offline", (int)st->offline, "kept", (int)st->kept,
			      "busy_percent", r->busy,
			      "commands_per_s", r->commands, "in_bytes_per_s", r->in,
			      "out_bytes_per_s", r->out, "mram_used", (json_int_t)st->mram_used,
			      "leases", (json_int_t)rank->leases, "leases_per_s", r->leases);

	if (o && st->owner_kind)
		json_object_update_new(o, json_pack("{s:s, s:s, s:I, s:I}", "owner_kind",
						    st->owner_kind == PIM_OWNER_VM ? "vm" : "user",
						    "owner", st->owner_comm, "owner_uid",
						    (json_int_t)st->owner_uid, "owner_pid",
						    (json_int_t)st->owner_pid));
	return o;
}

static json_t *vm_json(const struct pim_top *before, const struct pim_top *after,
		       const struct pimctl_vm *vm)
{
	static const struct {
		const char *name;
		int counter;
	} rates[] = {
		{ "requests_per_s", PIMCTL_VM_REQUESTS }, { "commits_per_s", PIMCTL_VM_COMMITS },
		{ "updates_per_s", PIMCTL_VM_UPDATES }, { "kicks_per_s", PIMCTL_VM_KICKS },
		{ "interrupts_per_s", PIMCTL_VM_INTERRUPTS },
		{ "kicks_trapped_per_s", PIMCTL_VM_TRAPPED },
		{ "faults_per_s", PIMCTL_VM_FAULTS },
	};
	json_t *o = json_pack("{s:s, s:b, s:s}", "name", vm->name, "opened", vm->opened,
			      "leases", vm->leases);

	for (size_t i = 0; o && i < sizeof(rates) / sizeof(rates[0]); i++)
		json_object_set_new(o, rates[i].name,
				    json_real(vm_rate(before, after, vm, rates[i].counter)));
	return o;
}

json_t *pim_top_json(const struct pim_top *before, const struct pim_top *after)
{
	json_t *ranks = json_array(), *owners = json_array(), *vms = json_array();

	for (uint32_t i = 0; i < after->nr_ranks; i++) {
		struct rates r = rank_rates(before, after, &after->ranks[i]);

		json_array_append_new(ranks, rank_json(&after->ranks[i], &r));
	}
	for (uint32_t i = 0; i < after->nr_owners; i++) {
		const struct pim_owner_state *st = &after->owners[i];

		json_array_append_new(owners, json_pack("{s:I, s:I, s:I, s:I}", "uid",
							(json_int_t)st->uid, "ranks",
							(json_int_t)st->ranks, "parked",
							(json_int_t)st->parked, "waiting",
							(json_int_t)st->waiting));
	}
	for (uint32_t i = 0; i < after->nr_vms; i++)
		json_array_append_new(vms, vm_json(before, after, &after->vms[i]));
	/* takes the arrays, also when it fails */
	return json_pack("{s:f, s:I, s:I, s:o, s:o, s:o}", "seconds", after->time - before->time,
			 "waiting", (json_int_t)waiting(after), "parked",
			 (json_int_t)parked(after), "ranks", ranks, "owners", owners,
			 "machines", vms);
}
