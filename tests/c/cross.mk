# The C tests on another processor, by emulation:  make -C tests/c cross ARCH=aarch64|s390x        Included by the Makefile.
# Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user
#
# aarch64 has the NEON kernel, s390x the other byte order.  Linked statically: qemu needs no libraries of theirs then.
ARCH    ?= aarch64
QEMU    ?= qemu-$(ARCH)
TRIPLET := $(ARCH)-linux-gnu

cross:
	@$(MAKE) -s CC=$(TRIPLET)-gcc SAN= CFLAGS="-O2 -g -static" OUT=$(OUT)/$(ARCH) all
	@set -e; for t in $(TESTS:$(OUT)/%=$(OUT)/$(ARCH)/%); do echo "== $$t"; $(QEMU) $$t; done
.PHONY: cross
