# SPDX-License-Identifier: GPL-2.0-or-later
# Memory donors: emp-donor. Included by ../Makefile.

# donor_link.c is the other side: for clients in user space
donor_src := $(filter-out %/donor_link.c,$(wildcard $(here)/donor/*.c))
donor_src := $(donor_src:$(here)/%=%) lib/ax_signature.c

all_src += $(filter-out lib/%,$(donor_src))
programs += $(O)/emp-donor

$(O)/emp-donor: $(call obj,$(donor_src) $(cli_src) $(lib_src))
	$(CC) $(LDFLAGS) $^ -lrdmacm -libverbs -lnettle -ljansson -lblkid -luring -lpthread -o $@

# A header that is missing is named with its package, before the compiler says it 20 times.
$(call obj,$(filter donor/%,$(donor_src))): | donor-headers
donor-headers:
	@for pair in rdma/rdma_cma.h:librdmacm-dev infiniband/verbs.h:libibverbs-dev \
		     nettle/hmac.h:nettle-dev jansson.h:libjansson-dev liburing.h:liburing-dev \
		     blkid/blkid.h:libblkid-dev; do \
		echo "#include <$${pair%:*}>" | $(CC) $(CPPFLAGS) -E -o /dev/null - 2>/dev/null || { \
			echo "emp-donor needs <$${pair%:*}>: install $${pair#*:} ('make setup' installs all that is needed)" >&2; \
			exit 1; \
		}; \
	done

install: donor-install
donor-install: $(O)/emp-donor
	$(INSTALL) -d $(sbindir) $(compdir)
	$(INSTALL) -m 0755 $(O)/emp-donor $(sbindir)/emp-donor
	ln -sf emp-donor $(sbindir)/vmd
	$(INSTALL) -m 0644 $(top)/packaging/completion/emp-donor $(compdir)/emp-donor

uninstall: donor-uninstall
donor-uninstall:
	rm -f $(sbindir)/emp-donor $(sbindir)/vmd $(compdir)/emp-donor

.PHONY: donor-headers donor-install donor-uninstall
