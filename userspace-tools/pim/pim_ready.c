// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From an instruction word to what the interpreter runs.
 */
#include <string.h>

#include "pim_isa.h"
#include "pim_ready.h"

/* Loads and stores: log2 of the size and the plain handler. */
static const struct {
	unsigned char op, what, plain;
} accesses[] = {
	{ PIM_OP_LW, 2 | PIM_MEM_SIGNED, PIM_READY_LW },
	{ PIM_OP_LHU, 1, PIM_READY_LHU },
	{ PIM_OP_LHS, 1 | PIM_MEM_SIGNED, PIM_READY_LHS },
	{ PIM_OP_LBU, 0, PIM_READY_LBU },
	{ PIM_OP_LBS, 0 | PIM_MEM_SIGNED, PIM_READY_LBS },
	{ PIM_OP_LD, 3, PIM_READY_LD },
	{ PIM_OP_SW, 2, PIM_READY_SW },
	{ PIM_OP_SH, 1, PIM_READY_SH },
	{ PIM_OP_SB, 0, PIM_READY_SB },
	{ PIM_OP_SD, 3, PIM_READY_SD },
	{ PIM_OP_SW_ID, 2 | PIM_MEM_ID, 0 },
	{ PIM_OP_SH_ID, 1 | PIM_MEM_ID, 0 },
	{ PIM_OP_SB_ID, 0 | PIM_MEM_ID, 0 },
	{ PIM_OP_SD_ID, 3 | PIM_MEM_ID, 0 },
};

/* Those with a handler of their own. */
static const unsigned char special[PIM_OP_NR] = {
	[PIM_OP_HASH] = PIM_READY_UNKNOWN, [PIM_OP_SATS] = PIM_READY_UNKNOWN,
	[PIM_OP_LDMA] = PIM_READY_LDMA, [PIM_OP_LDMAI] = PIM_READY_LDMAI,
	[PIM_OP_SDMA] = PIM_READY_SDMA,
	[PIM_OP_ACQUIRE] = PIM_READY_ACQUIRE, [PIM_OP_RELEASE] = PIM_READY_RELEASE,
	[PIM_OP_BOOT] = PIM_READY_BOOT, [PIM_OP_RESUME] = PIM_READY_RESUME,
	[PIM_OP_CLR_RUN] = PIM_READY_CLR_RUN, [PIM_OP_READ_RUN] = PIM_READY_READ_RUN,
	[PIM_OP_STOP] = PIM_READY_STOP, [PIM_OP_FAULT] = PIM_READY_FAULT,
	[PIM_OP_NOP] = PIM_READY_NOP, [PIM_OP_TELL] = PIM_READY_NOP,
	[PIM_OP_CALL] = PIM_READY_CALL,
	[PIM_OP_MOVD] = PIM_READY_MOVD, [PIM_OP_SWAPD] = PIM_READY_SWAPD,
	[PIM_OP_MUL_STEP] = PIM_READY_MUL_STEP, [PIM_OP_DIV_STEP] = PIM_READY_DIV_STEP,
	[PIM_OP_TIME] = PIM_READY_TIME, [PIM_OP_TIME_CFG] = PIM_READY_TIME_CFG,
};

static enum pim_ready access_kind(const struct pim_sig *s, const struct pim_decoded *d,
				  struct pim_insn *insn)
{
	bool store = s->op == PIM_OP_SW || s->op == PIM_OP_SH || s->op == PIM_OP_SB ||
		     s->op == PIM_OP_SD;
	bool safe = strchr(s->form, 's');	/* ersi, esir, esii */
	bool big = d->value[PIM_KIND_ENDIAN];
	bool wide = s->ext;
	unsigned int n;

	for (n = 0; accesses[n].op != s->op; n++)
		;
	insn->what = accesses[n].what;
	/* lw.u and lw.s: the extension says, not the load */
	if (s->ext)
		insn->what = (insn->what & PIM_MEM_SIZE) | (s->ext == 1 ? PIM_MEM_SIGNED : 0);
	insn->what |= (safe ? PIM_MEM_SAFE : 0) | (big ? PIM_MEM_BIG : 0) |
		      (wide ? PIM_MEM_WIDE : 0);
	/* sd with an immediate extends it to 64 bits, which the plain one cannot */
	if (accesses[n].plain && !safe && !big && !wide &&
	    !(s->op == PIM_OP_SD && insn->rb == PIM_REG_ZERO))
		return accesses[n].plain;
	return store || (insn->what & PIM_MEM_ID) ? PIM_READY_STORE : PIM_READY_LOAD;
}

static bool is_access(unsigned int op)
{
	for (unsigned int n = 0; n < sizeof(accesses) / sizeof(accesses[0]); n++) {
		if (accesses[n].op == op)
			return true;
	}
	return false;
}

/* Does that form store its condition instead of the result? */
static bool stores_condition(unsigned int family)
{
	return family == PIM_FAMILY_LOG_SET || family == PIM_FAMILY_SUB_SET ||
	       family == PIM_FAMILY_EXT_SUB_SET;
}

static void set_registers(const struct pim_sig *s, const struct pim_decoded *d,
			  struct pim_insn *insn)
{
	unsigned int sig = d->sig;

	insn->rc = PIM_REG_NOWHERE;
	insn->rd = PIM_REG_NOWHERE + 1;
	insn->ra = PIM_REG_ZERO;
	insn->rb = PIM_REG_ZERO;
	if (pim_isa_has(sig, PIM_KIND_RC))
		insn->rc = (uint8_t)d->value[PIM_KIND_RC];
	if (pim_isa_has(sig, PIM_KIND_DC)) {
		/* the even register is the upper half */
		insn->rd = (uint8_t)d->value[PIM_KIND_DC];
		insn->rc = insn->rd + 1;
	}
	if (pim_isa_has(sig, PIM_KIND_RA))
		insn->ra = (uint8_t)d->value[PIM_KIND_RA];
	if (pim_isa_has(sig, PIM_KIND_RB))
		insn->rb = (uint8_t)d->value[PIM_KIND_RB];
	if (pim_isa_has(sig, PIM_KIND_DB))
		insn->rb = (uint8_t)d->value[PIM_KIND_DB];
	/* a register and an immediate: the register comes first, whatever its field is called */
	if (pim_isa_has(sig, PIM_KIND_RB) && pim_isa_has(sig, PIM_KIND_IMM) &&
	    !pim_isa_has(sig, PIM_KIND_RA) && !is_access(s->op)) {
		insn->ra = insn->rb;
		insn->rb = PIM_REG_ZERO;
	}
}

enum pim_ready pim_ready_insn(const struct pim_dpu *dpu, uint32_t index, struct pim_insn *insn)
{
	struct pim_decoded d;
	const struct pim_sig *s;
	unsigned int op, variant = PIM_PLAIN;

	memset(insn, 0, sizeof(*insn));
	if (!pim_isa_decode(dpu->iram[index], &d))
		return PIM_READY_ILLEGAL;
	s = &pim_sigs[d.sig];
	op = s->op;
	set_registers(s, &d, insn);
	insn->cond = d.cond;
	insn->pc = (uint16_t)((uint32_t)d.value[PIM_KIND_PC] < dpu->iram_size ?
			      (uint32_t)d.value[PIM_KIND_PC] : dpu->iram_size);
	if (is_access(op)) {
		insn->imm = (uint32_t)d.value[PIM_KIND_OFF];
		insn->imm2 = (uint32_t)d.value[PIM_KIND_IMM];
		return access_kind(s, &d, insn);
	}
	insn->imm = (uint32_t)(d.value[PIM_KIND_IMM] | d.value[PIM_KIND_OFF] |
			       d.value[PIM_KIND_SHIFT] | d.value[PIM_KIND_IMMDMA]);
	insn->imm2 = s->ext == 1 ? ~0u : 0;
	insn->what = op == PIM_OP_TIME_CFG;
	if (special[op])
		return special[op];
	/* add and sub on safe registers */
	if (s->form[0] == 's')
		return op == PIM_OP_ADD ? PIM_READY_ADDS : PIM_READY_SUBS;
	/* the immediate minus the register */
	if (s->form[1] == 'i')
		op = op == PIM_OP_SUB ? PIM_OP_RSUB : PIM_OP_RSUBC;
	if (stores_condition(s->family) && s->form[0] != 'z') {
		/* the result itself goes nowhere */
		insn->pc = (uint16_t)(insn->rd << 8 | insn->rc);
		insn->rc = PIM_REG_NOWHERE;
		insn->rd = PIM_REG_NOWHERE + 1;
		insn->cond += PIM_CC_NR;
		variant = PIM_PLAIN_COND;
	} else if (pim_isa_has(d.sig, PIM_KIND_PC)) {
		variant = s->ext ? PIM_PLAIN_COND_EXTENDED : PIM_PLAIN_COND;
	} else if (s->ext) {
		variant = PIM_PLAIN_EXTENDED;
	}
	return PIM_READY_NR + op * 4 + variant;
}
