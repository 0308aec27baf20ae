# SPDX-License-Identifier: GPL-2.0-or-later
# Processing in memory, the host's tools: pimctl, pim-emu and pim-hw. Included by
# ../Makefile, before its first rule that names $(programs).

pim_serve_src := pim/pim_serve.c
pimctl_src := pim/pimctl.c pim/pimctl_rank.c pim/pimctl_lease.c pim/pimctl_events.c \
	      pim/pimctl_doctor.c pim/pimctl_vm.c pim/pimctl_top.c pim/pimctl_stats.c pim/pim_top.c \
	      pim/pim_client.c

pim_provider_src := $(pim_serve_src) pim/pim_provider.c pim/pim_provider_uring.c
pim_emu_src := pim/pim_emu.c
pim_hw_src := pim/pim_hw.c pim/pim_hw_sysfs.c
pim_host_tools := pimctl pim-emu pim-hw

all_src += $(pim_provider_src) $(pimctl_src) $(pim_emu_src) $(pim_hw_src)
programs += $(pim_host_tools:%=$(O)/%)

$(O)/pimctl: $(call obj,$(pimctl_src) $(pim_serve_src) $(cli_src) $(lib_src))
	$(CC) $(LDFLAGS) $^ -ljansson -lncurses -o $@

$(O)/pim-emu: $(call obj,$(pim_emu_src) $(pim_provider_src) $(cli_src)) $(O)/libpimdpu.a
	$(CC) $(LDFLAGS) $^ -luring -lpthread -o $@

$(O)/pim-hw: $(call obj,$(pim_hw_src) $(pim_provider_src) $(cli_src)) $(O)/libpimdpu.a
	$(CC) $(LDFLAGS) $^ -luring -lpthread -o $@

install: install-pim-host
install-pim-host: $(pim_host_tools:%=$(O)/%)
	$(INSTALL) -d $(sbindir) $(compdir) $(incdir)
	for name in $(pim_host_tools); do \
		$(INSTALL) -m 0755 $(O)/$$name $(sbindir)/$$name || exit 1; \
		$(INSTALL) -m 0644 $(top)/packaging/completion/$$name $(compdir)/$$name || exit 1; \
	done
	$(INSTALL) -m 0644 $(addprefix $(top)/include/uapi/annex/,pim.h dpu.h virtio_pim.h) $(incdir)

uninstall: uninstall-pim-host
uninstall-pim-host:
	rm -f $(addprefix $(sbindir)/,$(pim_host_tools)) $(addprefix $(compdir)/,$(pim_host_tools))

.PHONY: install-pim-host uninstall-pim-host
