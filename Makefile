# make demo       the main job: two containers whose TCP is broken, repaired live (root; without: a bundled capture)
# make test       what the tests need, then the tests: those with traffic and the others side by side
# make test-kernel  what depends on the kernel, on Debian's own, booted by qemu (fetches linux-image-amd64; KERNEL=6.12: another)
# make deps       what the tests need, alone             make deps-full  and what only a few of them need: CI has all
# make lint       ruff, clang-format, mypy, codespell    make format     let ruff and clang-format rewrite the tree
# make deb        the Debian package into dist, built and tried in roots of Debian 13 (root; mmdebstrap, 400 MB of packages)
# make wheel      source archive and wheel into dist, as for PyPI: abi3audit, auditwheel and twine have nothing to say about them
# make man        write docs/man/pktmend.1 anew
# make clean      remove what the others made here
# make docs       the documentation site, into build/site
#
# PYTHON=python3.12 picks another interpreter, VENV=dir another place for the environment.
# System packages are installed by apt, only by root, only what is missing, and after saying which.

PYTHON ?= python3
VENV   ?= .venv
PACKAGE := pipeline/pktmend
BIN    := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(wildcard ext/*/*.[ch] ext/*/*/*.h ext/*.map ext/bench/*.py $(PACKAGE)/*.p?? $(PACKAGE)/_core/*.p* $(PACKAGE)/_kernel_build.py)

BUILD_PACKAGES := gcc libc6-dev linux-libc-dev $(if $(filter /usr/bin/%,$(shell command -v $(PYTHON))),python3-dev python3-venv)
DEMO_PACKAGES  := $(BUILD_PACKAGES) iproute2 iputils-ping ethtool curl util-linux procps
TEST_PACKAGES  := $(DEMO_PACKAGES) libbpf1 clang libclang-rt-dev tshark tcpdump openvswitch-switch iperf3 nftables libpcap0.8 dnsmasq-base udhcpc
# A few tests each; without them these skip and say so.
KERNEL_PACKAGES := qemu-system-x86 busybox kmod libbpf1
FULL_PACKAGES  := $(TEST_PACKAGES) libbpf-dev llvm systemd groff-base man-db tmux zsh fish sudo tcpreplay prometheus netsniff-ng dpdk-dev \
	gcc-aarch64-linux-gnu gcc-s390x-linux-gnu libc6-dev-arm64-cross libc6-dev-s390x-cross qemu-user musl-tools runc mmdebstrap systemd-container

C_FILES = $(shell find ext tests/c tests/fuzz examples -name '*.[ch]' -not -path '*/build*')

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

test: $(VENV)/.test
	@$(BIN)/python tests/run.py

test-kernel: $(VENV)/.test packages-kernel
	@KERNEL="$(KERNEL)" ONLY="$(ONLY)" $(BIN)/python tests/kernel/boot.py

deb:
	@python3 tests/debian_package.py dist

# The archive first, and the wheel out of it.  PKTMEND_PROJECT_URL: see setup.py.
wheel: $(VENV)/.wheel
	@rm -rf build/wheel && mkdir -p build/wheel && $(BIN)/python -m build --outdir build/wheel . >build/wheel/log 2>&1 || { cat build/wheel/log; exit 1; }
	@$(BIN)/abi3audit --strict build/wheel/*.whl
	@PATH="$(abspath $(BIN)):$$PATH" auditwheel repair --wheel-dir dist build/wheel/*.whl
	@cp build/wheel/*.tar.gz dist && $(BIN)/twine check --strict dist/*.whl dist/*.tar.gz

deps: $(VENV)/.test
deps-full: $(VENV)/.full

man: $(VENV)/.lint
	@$(BIN)/python docs/man/generate.py

docs: $(VENV)/.docs
	@$(BIN)/python -m sphinx -q -W --keep-going -c docs -d build/site-doctrees . build/site && echo "build/site/index.html"

lint: $(VENV)/.lint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && $(BIN)/clang-format --dry-run -Werror $(C_FILES) && $(BIN)/mypy && $(BIN)/codespell

format: $(VENV)/.lint
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/clang-format -i $(C_FILES)

packages-build packages-demo packages-test packages-full packages-kernel: packages-%:
	@if command -v apt-get >/dev/null; then $(MAKE) -s .packages FOR=$* WANT="$($(shell echo $* | tr a-z A-Z)_PACKAGES)"; fi

.packages:
	@missing=""; for p in $(WANT); do \
	    dpkg-query -W -f '$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ]; then \
	    echo "apt-get is about to install, for the $(FOR):$$missing"; apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	elif [ -n "$$missing" ]; then echo "for the $(FOR), and not installed (only root can):$$missing"; fi

$(BIN)/python: | packages-build
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "pktmend needs Python 3.11 or newer")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(SOURCES) | packages-demo $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e . && touch $@

$(VENV)/.lint: $(SOURCES) | packages-build $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e '.[lint,monitor,report,zstd]' && touch $@

$(VENV)/.docs: $(SOURCES) | packages-build $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e '.[docs]' && touch $@

$(VENV)/.wheel: $(SOURCES) | packages-build $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e '.[test-wheel]' && touch $@

$(VENV)/.test: $(SOURCES) | packages-test $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e '.[test]' && touch $@ $(VENV)/.lint $(VENV)/.demo

$(VENV)/.full: $(SOURCES) | packages-full $(BIN)/python
	@echo "building"; $(BIN)/pip install -q -e '.[docs,test,test-deploy,test-numba,test-scale,test-wheel]' && touch $@ $(VENV)/.docs $(VENV)/.wheel $(VENV)/.test $(VENV)/.lint $(VENV)/.demo

clean:
	rm -rf $(VENV) build pipeline/*.egg-info $(PACKAGE)/*.so $(PACKAGE)/*.pc $(PACKAGE)/*/*.so $(PACKAGE)/*/*/*.so tests/c/build* tests/fuzz/build .pytest_cache .mypy_cache .ruff_cache

.PHONY: demo test deb wheel deps deps-full docs lint format man clean packages-build packages-demo packages-test packages-full .packages
