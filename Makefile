# SPDX-License-Identifier: LGPL-2.1-or-later
# Two commands do everything on a fresh Debian 12, as root: `make demo` and `make test`.

PYTHON ?= /usr/bin/python3
VENV   := .venv
PREFIX ?= /usr
CACHE  ?= $(HOME)/.cache/atomic-sys
# How many tests run at once, each module in one worker. A test host needs a gigabyte of memory.
JOBS   ?= 2
PYTEST := $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

# What runs the program, and what only its tests need. README.md lists the same.
RUN_PACKAGES := python3-gi python3-pydbus python3-requests python3-yaml python3-jinja2 \
    python3-gnupg python3-cryptography python3-nacl python3-zstandard python3-rich gnupg runc
TEST_PACKAGES := python3-venv python3-pip systemd systemd-container dbus debootstrap docker-registry ostree \
    umoci skopeo podman crun busybox-static iproute2 openssl git strace ca-certificates man-db mandoc

missing = $(shell for p in $(1); do \
    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done)

.PHONY: help venv packages compiled test unit conformance host check coverage demo bench install clean

help:
	@echo 'make demo         the whole story in front of your eyes: etcd, flannel, docker on a real systemd'
	@echo 'make test         every test (unit, conformance, host); needs root on Debian 12'
	@echo 'make unit         the tests that need neither root nor other programs'
	@echo 'make conformance  the tests with real tools as judges'
	@echo 'make host         the tests on a real systemd'
	@echo 'make check        format, lint, types and the floors of the architecture'
	@echo 'make coverage     the branches of trust/ that tests take; fails below 100 %'
	@echo 'make bench        measure start-up, what a verdict costs, and pulls against other programs (20 minutes)'
	@echo 'make venv         the virtual environment and the packages that the above need'
	@echo 'make install      install below DESTDIR, to PREFIX ($(PREFIX))'

# Debian's docker-registry and friends must not start as services of this machine: only their programs
# are wanted, so a policy layer refuses while they are installed (invoke-rc.d(8)).
packages: WANTED = $(RUN_PACKAGES) $(TEST_PACKAGES)
packages:
	@missing="$(strip $(call missing,$(WANTED)))"; \
	if [ -n "$$missing" ]; then \
	    echo "installing: $$missing"; \
	    test "$$(id -u)" = 0 || { echo 'make: as root, please: packages are missing' >&2; exit 1; }; \
	    made=; test -e /usr/sbin/policy-rc.d || { made=1; \
	        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; }; \
	    { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
	        apt-get install -q -y --no-install-recommends $$missing; } >.apt.log 2>&1; status=$$?; \
	    test -z "$$made" || rm -f /usr/sbin/policy-rc.d; \
	    test $$status = 0 && rm -f .apt.log || { tail -n 20 .apt.log >&2; exit $$status; }; \
	fi

venv: packages $(VENV)/ready

$(VENV)/ready: setup.cfg pyproject.toml | packages
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(VENV)/bin/pip install -q --no-build-isolation --config-settings editable_mode=compat -e '.[test,fast]'
	touch $@

# Tests run the command thousands of times. Each would compile it where Python is told to write no
# caches, as it often is in containers.
compiled: venv
	@$(VENV)/bin/python -m compileall -q atomic_sys

test: compiled
	$(PYTEST) tests

unit: compiled
	$(PYTEST) tests -m 'not conformance and not host'

conformance: compiled
	$(PYTEST) tests -m conformance

host: compiled
	$(PYTEST) tests -m host

check: venv
	$(VENV)/bin/python -m pytest -q tests/test_checks.py tests/test_architecture.py

demo: venv
	$(VENV)/bin/python -m tests.host.demo

bench: venv
	$(VENV)/bin/python -m benchmarks.startup
	$(VENV)/bin/python -m benchmarks.trust
	$(VENV)/bin/python -m benchmarks.fsck
	$(VENV)/bin/python -m benchmarks.containers_list
	$(VENV)/bin/python -m benchmarks.protection
	$(VENV)/bin/python -m benchmarks.parts
	$(VENV)/bin/python -m benchmarks.pull_bars
	$(VENV)/bin/python -m benchmarks.pull

# Every branch of the room that decides whom to believe is taken by some test.
coverage: venv
	$(VENV)/bin/python -m coverage run --branch --source=atomic_sys/trust -m pytest -q \
	    tests/unit/trust tests/conformance/test_trust*.py tests/conformance/test_sign.py
	$(VENV)/bin/python -m coverage report --show-missing --skip-covered --fail-under=100

install:
	$(PYTHON) -m pip install --no-deps --no-build-isolation --root-user-action=ignore \
	    $(if $(DESTDIR),--root $(DESTDIR) --ignore-installed) --prefix $(PREFIX) .
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system/sysinit.target.wants
	ln -sf ../atomic-sys-recover.service $(DESTDIR)$(PREFIX)/lib/systemd/system/sysinit.target.wants/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system/multi-user.target.wants
	ln -sf ../atomic-sys-protect.service $(DESTDIR)$(PREFIX)/lib/systemd/system/multi-user.target.wants/

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .apt.log
