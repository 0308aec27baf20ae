# SPDX-License-Identifier: GPL-2.0-or-later
# Processing in memory: libpimdpu, dpu-as, dpu-dis, dpu-run. Included by ../Makefile.
# The tables of the instruction set are made here too, from isa/dpu_v1a.tsv.

PYTHON	?= python3

pim_gen	:= $(O)/pim/gen
pim_made := $(pim_gen)/pim_isa_gen.h $(pim_gen)/pim_isa_gen.c \
	   $(pim_gen)/pim_exec_ops.inc $(pim_gen)/pim_exec_labels.inc

libpimdpu_src := $(addprefix pim/,pim_isa.c pim_dis.c pim_dpu.c pim_ready.c pim_exec.c \
	   pim_ci.c pim_ci_frame.c pim_pool.c pim_rank.c pim_rank_state.c \
	   pim_backend.c pim_host.c pim_host_mem.c pim_host_scrub.c pim_log.c pim_gate.c pim_hw_rank.c \
	   pim_elf.c pim_elf_write.c pim_asm.c pim_asm_expr.c pim_asm_insn.c pim_asm_link.c)
libpimdpu_hdr := $(addprefix pim/,pim_isa.h pim_dis.h pim_dpu.h pim_ci.h pim_pool.h pim_rank.h pim_backend.h pim_host.h pim_elf.h pim_asm.h)
pim_cli_src := pim/dpu_as.c pim/dpu_dis.c pim/dpu_run.c
pim_programs := $(O)/dpu-as $(O)/dpu-dis $(O)/dpu-run
pim_tools := dpu-as dpu-dis dpu-run

libpimdpu_obj := $(call obj,$(lib_src) $(libpimdpu_src)) $(pim_gen)/pim_isa_gen.o

# Two files from one run: the second waits for the first.
$(pim_gen)/pim_isa_gen.h: $(here)/pim/isa/gen.py $(here)/pim/isa/dpu_v1a.tsv
	@mkdir -p $(@D)
	$(PYTHON) $(here)/pim/isa/gen.py $(here)/pim/isa/dpu_v1a.tsv $@ $(@:.h=.c)

$(pim_gen)/pim_isa_gen.c: $(pim_gen)/pim_isa_gen.h ;

$(pim_gen)/pim_exec_ops.inc: $(here)/pim/isa/gen_exec.py
	@mkdir -p $(@D)
	$(PYTHON) $(here)/pim/isa/gen_exec.py $@ $(pim_gen)/pim_exec_labels.inc

$(pim_gen)/pim_exec_labels.inc: $(pim_gen)/pim_exec_ops.inc ;

$(pim_gen)/pim_isa_gen.o: $(pim_gen)/pim_isa_gen.c
	$(CC) $(CPPFLAGS) -I$(here)/pim -I$(pim_gen) $(CFLAGS) -MMD -MP -c $< -o $@

$(O)/obj/pim/%.o: $(here)/pim/%.c | $(pim_made)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -I$(pim_gen) $(CFLAGS) -MMD -MP -c $< -o $@

$(O)/libpimdpu.a: $(libpimdpu_obj)
	rm -f $@
	$(AR) rcs $@ $^

$(O)/libpimdpu.so.$(so): $(libpimdpu_obj)
	$(CC) $(LDFLAGS) -shared -Wl,-soname,libpimdpu.so.$(so) -Wl,-z,defs $^ -lpthread -o $@

$(O)/dpu-%: $(O)/obj/pim/dpu_%.o $(call obj,$(cli_src)) $(O)/libpimdpu.a
	$(CC) $(LDFLAGS) $^ -lpthread -o $@

pim: $(pim_programs) $(O)/libpimdpu.a $(O)/libpimdpu.so.$(so)

pim-install: pim
	$(INSTALL) -d $(bindir) $(libdir) $(incdir)/pim $(incdir)/lib
	for name in $(pim_tools); do \
		$(INSTALL) -m 0755 $(O)/$$name $(bindir)/$$name || exit 1; \
	done
	$(INSTALL) -m 0644 $(O)/libpimdpu.a $(libdir)/libpimdpu.a
	$(INSTALL) -m 0755 $(O)/libpimdpu.so.$(so) $(libdir)/libpimdpu.so.$(so)
	ln -sf libpimdpu.so.$(so) $(libdir)/libpimdpu.so
	$(INSTALL) -m 0644 $(addprefix $(here)/,$(libpimdpu_hdr)) $(pim_gen)/pim_isa_gen.h $(incdir)/pim/

pim-uninstall:
	rm -f $(addprefix $(bindir)/,$(pim_tools)) $(libdir)/libpimdpu.a \
		$(libdir)/libpimdpu.so.$(so) $(libdir)/libpimdpu.so

-include $(patsubst %.c,$(O)/obj/%.d,$(libpimdpu_src) $(pim_cli_src)) $(pim_gen)/pim_isa_gen.d

.PHONY: pim pim-install pim-uninstall
