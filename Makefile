# SPDX-License-Identifier: GPL-2.0-only
# Annex: what a person types. The work is done by scripts/ and by the folders'
# own Makefiles. 'make help' lists the targets.
#
# KVER=    kernel to build for: a release, or a kernel of the lab (6.12, 6.1,
#          debug); default: the running one
# KDIR=    kernel build tree, instead of KVER
# DESTDIR= prefix of everything that install writes
# T=       tests to run, a glob over names as they are printed
# B=       bench to run
# PIM=1    the demonstration of processing in memory
# DONOR=1  the demonstration with a donor of memory that is killed
# J=       tests to run at once (default 1: each takes two processors; with
#          check-debug one a processor)

SHELL := /bin/bash
.DEFAULT_GOAL := all
.SUFFIXES:

export KVER KDIR DESTDIR
export T B
export VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"$$/\1/p' dkms.conf)

.PHONY: all
all: modules tools ## modules and tools (what plain 'make' does)

.PHONY: modules
modules: ## kernel modules, into build/modules/RELEASE/
	+@scripts/kbuild $(W:%=W=%) $(C:%=C=%) $(V:%=V=%)

.PHONY: tools
tools: ## user-space tools and libraries
	+@$(MAKE) --no-print-directory -C userspace-tools all version=$(VERSION)

.PHONY: install
install: all ## modules, tools, man pages, udev rule, units (DESTDIR= for a staged tree)
	+@scripts/install

.PHONY: uninstall
uninstall: ## remove what install wrote
	+@scripts/install --remove

.PHONY: dkms-install
dkms-install: tools ## tools, and the modules by DKMS: rebuilt on every kernel update
	+@scripts/dkms-install

.PHONY: dkms-install-guest
dkms-install-guest: ## only the modules of a guest with ranks, by DKMS
	+@scripts/dkms-install-guest

.PHONY: setup
setup: ## install what development, tests and demo need (Debian 12)
	@scripts/setup

.PHONY: check
check: setup ## all tests, in the lab's virtual machines (T=GLOB picks some, names as printed)
	+@scripts/build-tests 6.12
	@tests/run $(J:%=--jobs %)

.PHONY: check-debug
check-debug: setup ## the same on a kernel with KASAN and lockdep (the first time builds it: 15 minutes)
	@tests/lab/lab fetch debug
	+@scripts/build-tests debug
	@tests/run --debug --jobs $(or $(J),$(shell nproc))

.PHONY: soak
soak: setup ## the tests with much longer loops
	+@scripts/build-tests 6.12
	@ANNEX_SOAK=1 tests/run $(J:%=--jobs %)

.PHONY: bench
bench: setup ## measurements (B=emp, donor, hypersio or pim), into build/bench/
	+@scripts/build-tests 6.12
	@bench/run $(B)

.PHONY: demo
demo: setup ## the main job, live, in the lab; picture and summary in build/demo/ (DONOR=1: with a donor that is killed; PIM=1: ranks in guests)
	+@scripts/build-tests 6.12
	@tests/demo/$(if $(filter-out 0,$(PIM)),pim,run $(if $(filter-out 0,$(DONOR)),--donor))

.PHONY: lint
lint: setup ## checkpatch, sparse, cppcheck, shellcheck, man pages, house rules
	+@scripts/lint

.PHONY: print-emp-ko
print-emp-ko: ## where emp.ko for KVER is built
	@echo "$(CURDIR)/build/modules/$$(scripts/kernel release)/emp.ko"

.PHONY: print-version
print-version:
	@echo $(VERSION)

.PHONY: clean
clean: ## remove everything that was built
	+@for dir in userspace-tools tests/unit tests/emp tests/donor tests/pim tests/fuzz bench; do \
		[ ! -e $$dir/Makefile ] || $(MAKE) --no-print-directory -s -C $$dir clean || exit 1; \
	done
	rm -rf build

.PHONY: help
help: ## this list
	@echo "usage: make [TARGET] [KVER=RELEASE] [T=GLOB] [B=NAME]"; echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | \
		while IFS=$$'\t' read -r t d; do printf '  %-18s %s\n' "$$t" "$$d"; done
