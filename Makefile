# make demo   the main job: two containers whose TCP is broken, repaired live (root; without: a bundled capture)
# make test   everything the tests need, then the tests       make lint   ruff and mypy only
# make man    write docs/man/pktmend.1 anew
# make clean  remove what the others made here
#
# PYTHON=python3.12 picks another interpreter, VENV=dir another place for the environment.

PYTHON ?= python3
VENV   ?= .venv
PACKAGE := pipeline/pktmend
BIN    := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(wildcard ext/*/*.[ch] ext/*/*/*.h ext/bench/*.py $(PACKAGE)/*.p?? $(PACKAGE)/core/*.pxi $(PACKAGE)/_kernel_build.py)

BUILD_PACKAGES := gcc libc6-dev linux-libc-dev $(if $(filter /usr/bin/%,$(shell command -v $(PYTHON))),python3-dev python3-venv)
DEMO_PACKAGES  := $(BUILD_PACKAGES) iproute2 iputils-ping ethtool curl util-linux procps
TEST_PACKAGES  := $(DEMO_PACKAGES) make clang libclang-rt-dev tshark openvswitch-switch iperf3 tcpreplay tcpdump nftables libpcap0.8 dnsmasq-base udhcpc systemd groff-base man-db tmux prometheus netsniff-ng dpdk-dev

# A test starts its own prometheus; the package's must not start by being installed.
UNIT := /etc/systemd/system/prometheus.service

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

test: $(VENV)/.test
	@$(BIN)/python -m pytest

man: $(VENV)/.test
	@$(BIN)/python docs/man/generate.py

lint: $(VENV)/.test
	@$(BIN)/ruff check . && $(BIN)/mypy

# Only what is missing is installed, and only by root; others are told.
packages-demo:
	@if command -v apt-get >/dev/null; then $(MAKE) -s .packages WANT="$(DEMO_PACKAGES)"; fi
packages-test:
	@if command -v apt-get >/dev/null; then $(MAKE) -s .packages WANT="$(TEST_PACKAGES)"; fi

.packages:
	@missing=""; for p in $(WANT); do \
	    dpkg-query -W -f '$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ]; then \
	    case "$$missing" in *prometheus*) [ ! -d $(dir $(UNIT)) ] || [ -e $(UNIT) ] || ln -s /dev/null $(UNIT);; esac; \
	    echo "installing:$$missing"; apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	elif [ -n "$$missing" ]; then echo "not installed, and only root can:$$missing"; fi

$(BIN)/python: | packages-demo
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pktmend needs Python 3.11 or newer")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(SOURCES) | packages-demo $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e . && touch $@

$(VENV)/.test: $(SOURCES) | packages-test $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e '.[test]' && touch $@

clean:
	rm -rf $(VENV) build pipeline/*.egg-info $(PACKAGE)/*.so $(PACKAGE)/*/*/*.so $(PACKAGE)/_core.c tests/c/build* tests/fuzz/build .pytest_cache .mypy_cache .ruff_cache

.PHONY: demo test lint man clean packages-demo packages-test .packages
