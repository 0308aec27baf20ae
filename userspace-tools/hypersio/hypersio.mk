# SPDX-License-Identifier: GPL-2.0-or-later
# The part of userspace-tools/Makefile about hypersio: I/O-translation traces
# and simulation. libhypersio holds all but the commands; tests link it.

hypersio_cmd := hypersio/hypersio.c $(patsubst $(here)/%,%,$(wildcard $(here)/hypersio/hs_cmd_*.c))
libhypersio_src := $(filter-out $(hypersio_cmd),$(patsubst $(here)/%,%,$(wildcard $(here)/hypersio/*.c)))
hypersio_libs := -ljansson -lzstd -lz -lpthread -lm

all_src += $(hypersio_cmd) $(libhypersio_src)
programs += $(O)/hypersio

# Loops over columns, which gcc turns into vectors at this level only.
$(O)/obj/hypersio/hs_trace_hsio.o: override CFLAGS += -O3

$(O)/libhypersio.a: $(call obj,$(lib_src) $(libhypersio_src))
	rm -f $@
	$(AR) rcs $@ $^

$(O)/hypersio: $(call obj,$(hypersio_cmd) $(cli_src)) $(O)/libhypersio.a
	$(CC) $(LDFLAGS) $^ $(hypersio_libs) -o $@
