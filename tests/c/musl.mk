# The C tests with musl, the libc of Alpine:  make -C tests/c musl        Included by the Makefile.
# Debian: musl-tools linux-libc-dev
#
# Of /usr/include only the kernel's headers, so that none of glibc fills a gap.  -Wno-...: musl's CMSG_NXTHDR, msg_iovlen.
# test_emit_waits stands in for two functions as glibc declares them.
KERNEL  := linux asm-generic rdma mtd
MUSL    := $(OUT)/musl
MULTI    = $(shell $(CC) -print-multiarch)
ITS     := $(patsubst $(OUT)/%,$(MUSL)/%,$(filter-out $(OUT)/test_emit_waits,$(TESTS)))

musl:
	@mkdir -p $(MUSL)/include
	@ln -sfn $(KERNEL:%=/usr/include/%) $(firstword $(wildcard /usr/include/$(MULTI)/asm /usr/include/asm)) $(MUSL)/include/
	@$(MAKE) -s CC=musl-gcc SAN= OUT=$(MUSL) \
		CFLAGS="-O1 -static -Wno-conversion -Wno-sign-conversion -idirafter $(MUSL)/include" $(ITS)
	@set -e; for t in $(ITS); do echo "== $$t"; $$t; done
.PHONY: musl
