# SPDX-License-Identifier: GPL-2.0-or-later
# Processing in memory, the host's tools: pimctl. Included by ../Makefile.

pim_serve_src := pim/pim_serve.c
pimctl_src := pim/pimctl.c pim/pimctl_rank.c pim/pimctl_lease.c pim/pimctl_events.c \
	      pim/pimctl_doctor.c pim/pim_client.c

all_src += $(pim_serve_src) $(pimctl_src)
programs += $(O)/pimctl

$(O)/pimctl: $(call obj,$(pimctl_src) $(pim_serve_src) $(cli_src) $(lib_src))
	$(CC) $(LDFLAGS) $^ -ljansson -o $@

install: install-pim-host
install-pim-host: $(O)/pimctl
	$(INSTALL) -d $(sbindir) $(compdir) $(incdir)
	$(INSTALL) -m 0755 $(O)/pimctl $(sbindir)/pimctl
	$(INSTALL) -m 0644 $(top)/include/uapi/annex/pim.h $(top)/include/uapi/annex/dpu.h $(incdir)
	$(INSTALL) -m 0644 $(top)/packaging/completion/pimctl $(compdir)/pimctl

uninstall: uninstall-pim-host
uninstall-pim-host:
	rm -f $(sbindir)/pimctl $(compdir)/pimctl

.PHONY: install-pim-host uninstall-pim-host
