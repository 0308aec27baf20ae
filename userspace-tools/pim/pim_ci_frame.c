// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Frames: the operations of a control interface on the DPUs that are selected.
 */
#include <string.h>

#include "pim_ci_priv.h"
#include "pim_isa.h"

#define NR_BYTES	12	/* 7 of the frame, 5 of the structure */

/* A frame taken apart. */
struct frame {
	uint8_t op;
	uint8_t data[NR_BYTES];
	unsigned int nr_data;
	uint8_t selected;
};

static bool take_apart(const struct pim_ci *ci, uint64_t frame, struct frame *f)
{
	uint64_t structure = ci->state.structure;
	bool found = false;

	memset(f, 0, sizeof(*f));
	for (unsigned int n = 0; n < NR_BYTES; n++) {
		uint8_t byte = (uint8_t)(n < 7 ? frame >> 8 * n : structure >> 8 * (n - 5));

		if (structure >> n & 1) {
			f->data[f->nr_data++] = byte;
		} else if (!found) {
			f->op = byte;
			found = true;
		}
	}
	f->selected = pim_ci_selected(ci);
	return found;
}

/* --- the DPUs ------------------------------------------------------------------ */

static struct pim_dpu *hold(struct pim_ci *ci, unsigned int n)
{
	if (!ci->dpus[n])
		return NULL;
	if (ci->acquire)
		ci->acquire(ci->owner, ci->first + n * ci->step);
	return ci->dpus[n];
}

static void let_go(struct pim_ci *ci, unsigned int n)
{
	if (ci->release)
		ci->release(ci->owner, ci->first + n * ci->step);
}

/* Sort a DPU's fault into the kinds that the host can ask for. */
static void latch_fault(struct pim_ci *ci, unsigned int n)
{
	struct pim_ci_state *s = &ci->state;
	enum pim_fault fault = ci->dpus[n] ? pim_dpu_fault(ci->dpus[n]) : PIM_FAULT_NONE;
	uint8_t bit = (uint8_t)(1u << n);

	if (fault == PIM_FAULT_NONE) {
		s->latched &= (uint8_t)~bit;
		return;
	}
	if (s->latched & bit)
		return;
	s->latched |= bit;
	if (fault == PIM_FAULT_MEMORY)
		s->memory |= bit;
	else if (fault == PIM_FAULT_DMA)
		s->dma |= bit;
	else
		s->breakpoint |= bit;
}

static uint8_t fault_mask(struct pim_ci *ci)
{
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++)
		latch_fault(ci, n);
	return ci->state.latched;
}

static uint8_t run_mask(const struct pim_ci *ci)
{
	uint8_t mask = 0;

	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++)
		mask |= (uint8_t)((ci->dpus[n] && pim_dpu_running(ci->dpus[n])) << n);
	return mask;
}

static uint8_t there(const struct pim_ci *ci)
{
	uint8_t mask = 0;

	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++)
		mask |= (uint8_t)(!!ci->dpus[n] << n);
	return mask;
}

/* The first selected DPU: whose value a command of one value shows. */
static int first_selected(const struct pim_ci *ci, const struct frame *f)
{
	uint8_t mask = f->selected & there(ci);

	return mask ? __builtin_ctz(mask) : -1;
}

/* --- IRAM ---------------------------------------------------------------------- */

static bool iram_write(struct pim_ci *ci, const struct frame *f, uint32_t *payload)
{
	uint32_t at = f->data[6] | (uint32_t)f->data[7] << 8;
	uint64_t word = 0;

	if (f->nr_data < 8)
		return false;
	for (int b = 0; b < 6; b++)
		word |= (uint64_t)f->data[b] << 8 * b;
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		struct pim_dpu *dpu = f->selected >> n & 1 ? hold(ci, n) : NULL;

		if (!dpu)
			continue;
		if (pim_dpu_iram_write(dpu, at, &word, 1))
			*payload |= 1u << n;
		let_go(ci, n);
	}
	return *payload == (f->selected & there(ci));
}

static bool iram_read(struct pim_ci *ci, const struct frame *f, uint32_t *payload)
{
	uint32_t at = f->data[0] | (uint32_t)f->data[1] << 8;
	int n = first_selected(ci, f);
	uint64_t word;
	bool done;

	if (n < 0)
		return true;
	hold(ci, (unsigned int)n);
	done = pim_dpu_iram_read(ci->dpus[n], at, &word, 1);
	let_go(ci, (unsigned int)n);
	if (done)
		*payload = word >> 8 * (f->op - 0x40) & 0xff;
	return done;
}

/* --- embedded instructions ------------------------------------------------------ */

/*
 * Execute an instruction for the host. *value is a bit of the result mask, or
 * for a load the loaded word. False: none that the interface executes.
 */
static bool execute(struct pim_dpu *dpu, const struct pim_decoded *d, const uint8_t *data,
		    uint32_t *value)
{
	uint32_t at = (uint32_t)d->value[PIM_KIND_OFF] & 0xffffff;
	uint32_t bit = (uint32_t)d->value[PIM_KIND_IMM];

	/* there is no thread: only register zero has a value */
	if (d->value[PIM_KIND_RA] != PIM_REG_ZERO && pim_isa_has(d->sig, PIM_KIND_RA))
		return false;
	bit = (bit >> 8 ^ bit) & 0xff;
	switch (pim_sigs[d->sig].op) {
	case PIM_OP_BOOT:
		*value = pim_dpu_boot(dpu, bit);
		return true;
	case PIM_OP_RESUME:
		*value = pim_dpu_resume(dpu, bit);
		return true;
	case PIM_OP_CLR_RUN:
		*value = pim_dpu_clear_run(dpu, bit);
		return true;
	case PIM_OP_READ_RUN:
		*value = pim_dpu_read_run(dpu, bit);
		return true;
	case PIM_OP_LW:
		return !(at & 3) && pim_dpu_wram_read(dpu, at, value, 4);
	case PIM_OP_SW:
		*value = 1;
		return data && !(at & 3) && pim_dpu_wram_write(dpu, at, data, 4);
	default:
		return false;
	}
}

static bool instruction(struct pim_ci *ci, const struct frame *f, uint32_t *payload)
{
	/* with 10 bytes of data, the first four are the word to store */
	const uint8_t *q = f->data + (f->nr_data >= 10 ? 4 : 0);
	struct pim_decoded d;
	uint64_t word;
	bool load, done = true;

	if (f->nr_data != 6 && f->nr_data != 10)
		return false;
	word = q[3] | (uint64_t)q[4] << 8 | (uint64_t)q[0] << 16 | (uint64_t)q[5] << 24 |
	       (uint64_t)q[2] << 32 | (uint64_t)q[1] << 40;
	if (!pim_isa_decode(word, &d))
		return false;
	load = pim_sigs[d.sig].op == PIM_OP_LW;
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		struct pim_dpu *dpu = f->selected >> n & 1 ? hold(ci, n) : NULL;
		uint32_t value = 0;

		if (!dpu)
			continue;
		if (!execute(dpu, &d, f->nr_data >= 10 ? f->data : NULL, &value))
			done = false;
		else if (!load)
			*payload |= value << n;
		let_go(ci, n);
		if (done && load) {
			/* one DPU's word is all there is room for */
			*payload = value;
			break;
		}
	}
	return done;
}

/* --- faults ----------------------------------------------------------------------- */

static uint32_t read_and_clear(uint8_t *mask, uint8_t selected)
{
	uint8_t was = *mask & selected;

	*mask &= (uint8_t)~selected;
	return was;
}

static void clear_faults(struct pim_ci *ci, uint8_t selected)
{
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		struct pim_dpu *dpu = selected >> n & 1 ? hold(ci, n) : NULL;

		if (!dpu)
			continue;
		/* what kind it was stays to be read */
		latch_fault(ci, n);
		pim_dpu_clear_fault(dpu);
		latch_fault(ci, n);
		let_go(ci, n);
	}
}

/* Stop the selected DPUs; after one instruction more when @step. */
static void set_faults(struct pim_ci *ci, uint8_t selected, bool step)
{
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		struct pim_dpu *dpu = selected >> n & 1 ? hold(ci, n) : NULL;

		if (!dpu)
			continue;
		if (step) {
			pim_dpu_clear_fault(dpu);
			latch_fault(ci, n);
			pim_dpu_run(dpu, 1);
		}
		if (!pim_dpu_fault(dpu))
			pim_dpu_inject(dpu, 0);
		/* the host asked for it: it is of no kind */
		ci->state.latched |= (uint8_t)(1u << n);
		let_go(ci, n);
	}
}

static uint32_t fault_thread(struct pim_ci *ci, const struct frame *f)
{
	int n = first_selected(ci, f);

	return n < 0 ? 0 : ci->dpus[n]->fault_thread;
}

static uint32_t fault_counter(struct pim_ci *ci, const struct frame *f)
{
	int n = first_selected(ci, f);
	uint32_t thread, pc;

	if (n < 0)
		return 0;
	hold(ci, (unsigned int)n);
	thread = ci->dpus[n]->fault_thread;
	pc = ci->dpus[n]->threads[thread % PIM_NR_THREADS].pc;
	let_go(ci, (unsigned int)n);
	/* 4096 instructions: 6 bits each */
	return f->op == 0x14 ? pc & 0x3f : pc >> 6 & 0xff;
}

/* --- registers of the DMA engine ------------------------------------------------------ */

static void write_register(struct pim_ci *ci, const struct frame *f)
{
	uint8_t at = (uint8_t)((f->data[0] & 15) << 4 | (f->data[1] & 15));
	uint8_t value = (uint8_t)((f->data[2] & 15) << 4 | (f->data[3] & 15));

	/* anything else goes to the repair of WRAM, which does not break here */
	if (f->data[5] != 0x20)
		return;
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		if (f->selected >> n & 1)
			ci->state.regs[n][at] = value;
	}
}

static uint32_t read_register(const struct pim_ci *ci, const struct frame *f)
{
	int n = first_selected(ci, f);
	const uint8_t *regs;

	if (n < 0)
		return 0;
	regs = ci->state.regs[n];
	/* selector 2: the state of the mux */
	return regs[PIM_CI_REG_READ] == 2 && (regs[PIM_CI_REG_MUX] & 1) ? 3 : 0;
}

/* --- groups ------------------------------------------------------------------------------ */

static void select_dpus(struct pim_ci *ci, enum pim_ci_target target, uint8_t index)
{
	ci->state.target = (uint8_t)target;
	ci->state.target_index = index;
}

static void move_to_group(struct pim_ci *ci, const struct frame *f)
{
	for (unsigned int n = 0; n < PIM_CI_NR_DPUS; n++) {
		if (f->selected >> n & 1)
			ci->state.group[n] = f->data[0] % PIM_CI_NR_GROUPS;
	}
}

/* --- all of them ------------------------------------------------------------------------- */

/* Those that look at or change faults. */
static bool fault_frame(struct pim_ci *ci, const struct frame *f, uint32_t *payload)
{
	struct pim_ci_state *s = &ci->state;
	uint8_t faults = fault_mask(ci) & f->selected;

	switch (f->op) {
	case 0x80:
		*payload = faults;
		return true;
	case 0x86:
		clear_faults(ci, f->selected);
		return true;
	case 0x87:
		set_faults(ci, f->selected, true);
		return true;
	case 0xb0:
		*payload = s->breakpoint & f->selected;
		return true;
	case 0xb2:
		s->breakpoint &= (uint8_t)~f->selected;
		return true;
	case 0xb3:
		set_faults(ci, f->selected, false);
		s->breakpoint |= f->selected;
		return true;
	case 0xb4:
		*payload = s->poison & f->selected;
		return true;
	case 0xb6:
		s->poison &= (uint8_t)~f->selected;
		return true;
	case 0xb7:
		set_faults(ci, f->selected, false);
		s->poison |= f->selected;
		return true;
	case 0x82:
		*payload = read_and_clear(&s->dma, f->selected);
		return true;
	case 0xf4:
		*payload = read_and_clear(&s->memory, f->selected);
		return true;
	default:
		return false;
	}
}

bool pim_ci_frame(struct pim_ci *ci, uint64_t frame, uint32_t *payload)
{
	struct pim_ci_state *s = &ci->state;
	struct frame f;
	int n;

	if (!take_apart(ci, frame, &f))
		return false;
	switch (f.op) {
	case 0x08:
		select_dpus(ci, PIM_CI_TARGET_ALL, 0);
		return true;
	case 0x09:
		select_dpus(ci, PIM_CI_TARGET_GROUP, f.data[0] % PIM_CI_NR_GROUPS);
		return true;
	case 0x0a:
		if (f.data[0] >= PIM_CI_NR_DPUS)
			return false;
		select_dpus(ci, PIM_CI_TARGET_DPU, f.data[0]);
		return true;
	case 0x0c:
		move_to_group(ci, &f);
		return true;
	case 0x10:
		*payload = read_register(ci, &f);
		return true;
	case 0xa7:
		write_register(ci, &f);
		return true;
	case 0x11:
	case 0x12:
	case 0x13:
		*payload = fault_thread(ci, &f);
		return true;
	case 0x14:
	case 0x15:
		*payload = fault_counter(ci, &f);
		return true;
	case 0x16:
		n = first_selected(ci, &f);
		*payload = n < 0 ? 0 : s->pc_mode[n];
		return true;
	case 0xa4:
		for (n = 0; n < PIM_CI_NR_DPUS; n++) {
			if (f.selected >> n & 1)
				s->pc_mode[n] = f.data[0];
		}
		return true;
	case 0x84:
		*payload = run_mask(ci) & f.selected;
		return true;
	case 0xf0:
		*payload = read_and_clear(&s->stack_up, f.selected);
		return true;
	case 0xf2:
		*payload = s->stack_up & f.selected;
		s->stack_up |= f.selected;
		return true;
	case 0x47:
		return iram_write(ci, &f, payload);
	case 0x40 ... 0x45:
		return iram_read(ci, &f, payload);
	case 0x98:
	case 0x99:
		return instruction(ci, &f, payload);
	case 0x04:		/* buses: nothing to time here */
	case 0x05:
	case 0x07:
	case 0xf6:
	case 0xf7:
	case 0xa5:		/* timing of the register file */
	case 0xa6:		/* end of the writes to the DMA engine */
	case 0x90 ... 0x93:	/* repair of IRAM */
	case 0x96:
	case 0x97:
	case 0x9c:		/* instructions in place of a thread's own: debugger */
	case 0x9e:
		return true;
	default:
		return fault_frame(ci, &f, payload);
	}
}
