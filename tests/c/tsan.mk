# The threads test under ThreadSanitizer:  make -C tests/c tsan        Included by the Makefile.
TSAN := -fsanitize=thread

tsan:
	@$(MAKE) -s SAN="$(TSAN)" OUT=$(OUT)/tsan $(OUT)/tsan/test_threads
	@TSAN_OPTIONS="halt_on_error=0 exitcode=66 $(TSAN_OPTIONS)" $(OUT)/tsan/test_threads
.PHONY: tsan
