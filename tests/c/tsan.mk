# The tests with threads under ThreadSanitizer:  make -C tests/c tsan        Included by the Makefile.
TSAN := -fsanitize=thread

tsan:
	@$(MAKE) -s SAN="$(TSAN)" OUT=$(OUT)/tsan $(OUT)/tsan/test_threads $(OUT)/tsan/test_pool
	@set -e; for t in test_threads test_pool; do \
		TSAN_OPTIONS="halt_on_error=0 exitcode=66 $(TSAN_OPTIONS)" $(OUT)/tsan/$$t; done
.PHONY: tsan
