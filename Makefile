# The commands of this project. Each sets up what it needs first; `make` alone lists them.
#
#   PROFILE=release make up     boots the small image instead of the quickly built one
#   NAME=other make up          a second machine beside the first

PROFILE ?= dev
NAME ?= dozen
DEV := PYTHONPATH=src build/venv-dev/bin/python
SOURCES := src tests bench

.DEFAULT_GOAL := help
.PHONY: help image up down test check unit lint fmt fuzz bench clusters conformance lock clean

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

image: ## compose the image into build/PROFILE
	@setup/prepare host
	@PYTHONPATH=src build/venv-host/bin/python -m dozen.compose build --profile "$(PROFILE)" --out "build/$(PROFILE)"

up: ## compose the image, boot a cluster of one node and run a workload in it
	@setup/prepare host
	@setup/up "$(NAME)" "$(PROFILE)"

down: ## end that cluster and remove what it kept
	@setup/prepare host
	@build/dozenctl cluster destroy --name "$(NAME)"

test: prepare-dev ## unit and native tests, and machines that boot
	@$(DEV) -m pytest -rfEs --import-mode=importlib -m "not cluster" tests/unit tests/native tests/boot

clusters: prepare-dev ## all tests of whole clusters under QEMU, which take half an hour and more
	@$(DEV) -m pytest --import-mode=importlib tests/boot/test_kubernetes.py tests/boot/test_etcd.py

check: prepare-dev lint unit ## format, lint, types, import rules and unit tests

unit: prepare-dev ## the unit tests
	@$(DEV) -m pytest tests/unit

lint: prepare-dev ## format, lint, types and import rules
	@$(DEV) -m ruff format --check $(SOURCES)
	@$(DEV) -m ruff check --quiet $(SOURCES)
	@$(DEV) -m mypy
	@PYTHONPATH=src build/venv-dev/bin/lint-imports

fmt: prepare-dev ## format the sources and fix what can be fixed
	@$(DEV) -m ruff format $(SOURCES)
	@$(DEV) -m ruff check --fix --quiet $(SOURCES)

fuzz: prepare-dev ## look for inputs that break a decoder, for a minute (ARGS="yaml --seconds 600": one, longer)
	@PYTHONPATH=src:tests "$$(setup/prepare --venv fuzz)/bin/python" -m fuzz $(ARGS)

bench: ## measure against a Debian 13 minimal system; writes docs/benchmarks.md
	@setup/prepare bench
	@$(DEV) -m bench $(ARGS)

conformance: prepare-dev ## upstream's conformance tests in a cluster of two (ARGS=--some: those that need no registry)
	@$(DEV) -m dozen.testing.conformance $(ARGS)

lock: ## pin the newest signed Debian packages, and Python packages by hash (ARGS=--upgrade: the newest of these too)
	@setup/lock $(ARGS)
	@setup/prepare host
	@PYTHONPATH=src build/venv-host/bin/python -m dozen.compose lock

clean: ## remove what was built here (downloads and environments stay in the cache)
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: prepare-dev
prepare-dev:
	@setup/prepare dev
