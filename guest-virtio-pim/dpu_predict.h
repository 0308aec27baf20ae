/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which commands have answers that are known before they are asked, and what the
 * answers are. Pure; tests/unit builds it in user space too, and compares with a
 * rank in software.
 */
#ifndef DPU_PREDICT_H
#define DPU_PREDICT_H

#include <linux/types.h>

/**
 * struct dpu_predict_ci - what is known of a control interface
 * @structure: the last one committed
 * @last: answer
 * @mask: of DPUs, in the last answer to a write
 * @mask_known: no frame of another kind came since
 * @colour_known: @last has it
 */
struct dpu_predict_ci {
	__u64 structure;
	__u64 last;
	__u8 mask;
	__u8 mask_known;
	__u8 colour_known;
};

/* A command's class and, for a frame, what it does. */
enum dpu_command {
	DPU_COMMAND_OTHER,
	DPU_COMMAND_STRUCTURE,
	DPU_COMMAND_WRITE,
};

/*
 * The bits 0..11 of a structure say which bytes of a frame (7 of its own, then 5 of
 * the structure) are data; the first that is none is the operation.
 */
static inline enum dpu_command dpu_command_of(const struct dpu_predict_ci *ci, __u64 cmd)
{
	__u32 data = ci->structure & 0xfff;

	switch (cmd >> 56) {
	case 0x11:
		return DPU_COMMAND_STRUCTURE;
	case 0x33:
		if (data == 0x0ff && (ci->structure >> 24 & 0xff) == 0x47)
			return DPU_COMMAND_WRITE;	/* of IRAM */
		if (data == 0x3ff && (ci->structure >> 40 & 0xff) == 0x99)
			return DPU_COMMAND_WRITE;	/* of WRAM */
	}
	return DPU_COMMAND_OTHER;
}

/** dpu_answer_mask - what answers agree in: not the temperature, nor a payload of no meaning */
static inline __u64 dpu_answer_mask(enum dpu_command kind)
{
	return kind == DPU_COMMAND_WRITE ? 0xffff00ff000000ffull : 0xffff00ff00000000ull;
}

/** dpu_predict_one - @answer to @cmd; 0: it is not known */
static inline int dpu_predict_one(const struct dpu_predict_ci *ci, __u64 cmd, __u64 *answer)
{
	enum dpu_command kind = dpu_command_of(ci, cmd);

	if (!ci->colour_known || kind == DPU_COMMAND_OTHER ||
	    (kind == DPU_COMMAND_WRITE && !ci->mask_known))
		return 0;
	*answer = (ci->last ^ 0xffull << 48) & 0x00ffff0000000000ull;
	*answer |= 0xffull << 32;
	if (kind == DPU_COMMAND_WRITE)
		*answer |= ci->mask;
	return 1;
}

/** dpu_predict_note - @cmd was answered, or will be, with @answer */
static inline void dpu_predict_note(struct dpu_predict_ci *ci, __u64 cmd, __u64 answer)
{
	enum dpu_command kind = dpu_command_of(ci, cmd);
	__u8 colour = answer >> 48;

	/* Others may set the colour, and everything else. */
	ci->colour_known = (cmd >> 56 == 0x11 || cmd >> 56 == 0x33) && !(answer >> 56) &&
			   (answer >> 32 & 0xff) == 0xff && (colour == 0x00 || colour == 0xff);
	ci->last = answer;
	if (kind == DPU_COMMAND_STRUCTURE) {
		ci->structure = cmd & 0x00ffffffffffffffull;
	} else {
		ci->mask_known = kind == DPU_COMMAND_WRITE && ci->colour_known;
		ci->mask = answer;
	}
}

#endif
