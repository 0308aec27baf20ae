# SPDX-License-Identifier: GPL-2.0-or-later
# The tests of processing in memory link libpimdpu.a, built once plain and once with sanitizers.
# Included by Makefile.

tools := ../../userspace-tools
pim_lib := $(tools)/build/libpimdpu.a
pim_san := $(O)/pim-san
pim_san_lib := $(pim_san)/libpimdpu.a
pim_tests := $(patsubst test_%.c,%,$(wildcard test_pim_*.c))

# gcc sees uses before assignment where sanitizers come in between
$(pim_san_lib): pim-force
	@$(MAKE) --no-print-directory -s -C $(tools) O=$(abspath $(pim_san)) \
		CFLAGS='-O1 -g -Wno-maybe-uninitialized $(SANITIZE)' $(abspath $@)

$(pim_lib): pim-force
	@$(MAKE) --no-print-directory -s -C $(tools) $(abspath $@)

$(pim_tests:%=$(O)/test_%): $(pim_lib)
$(pim_tests:%=$(O)/test_%.san): $(pim_san_lib)

$(foreach t,$(pim_tests),$(eval $(t)_CFLAGS = -I$$(if $$(filter %.san,$$@),$(pim_san),$(tools)/build)/pim/gen))
$(foreach t,$(pim_tests),$(eval $(t)_LIBS = $$(if $$(filter %.san,$$@),$(pim_san_lib),$(pim_lib)) -lpthread))

pim_exec_SRCS := pim_ref.c
pim_small_SRCS := ../../guest-virtio-pim/dpu_small.c
pim_hw_SRCS := $(tools)/pim/pim_hw_sysfs.c
pim_hw_CFLAGS += -I../../include/uapi
pim_top_SRCS := $(addprefix $(tools)/pim/,pim_top.c pim_client.c)
pim_top_CFLAGS += -I../../include/uapi
pim_top_LIBS += -ljansson

.PHONY: pim-force
