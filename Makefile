# SPDX-License-Identifier: Apache-2.0
# The two commands for everyone (app, test) and a developer's handful. `make help` lists them.
# Variables: PYTHON=/path/to/python, ARGS="arguments for the command", BROWSER=no (tests without a browser),
# JOBS=number of tests at a time (0: all in one process; default: one more than cores, 4 at most: tests of pages wait).
.DEFAULT_GOAL := help
.PHONY: help app test dev lint types wheel lock bench bench-peer clean
.SILENT:

VENV := .venv
BIN := $(VENV)/bin
ARGS :=
JOBS = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
export PYTHON CHROMIUM

help: ## list the commands
	grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "  make %-10s %s\n", $$1, $$2}'

# The scripts do nothing in a fraction of a second when all is up to date; they compare contents, not dates.
define environment
python=$$(tools/python.sh $(VENV)) && "$$python" tools/environment.py --venv $(VENV) --extras $(1)
endef

app: ## install what is needed and open the apps in the browser
	$(call environment,)
	exec $(BIN)/ohmscape serve $(ARGS)

test: ## install what is needed and run every test
	$(call environment,test)
ifneq ($(BROWSER),no)
	$(BIN)/python tools/chromium.py
endif
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 4 --no-loadscope-reorder \
	    $(if $(filter no,$(BROWSER)),-m "not browser") $(ARGS)

dev: ## install everything for development (tests, JupyterLab, linters)
	$(call environment,test lab dev)

lint: ## check style
	$(call environment,test dev)
	$(BIN)/ruff check .

types: ## check types
	$(call environment,test dev)
	$(BIN)/mypy

wheel: ## build a wheel into dist/
	$(call environment,)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pip --disable-pip-version-check wheel --no-build-isolation --no-deps -w dist .

lock: ## resolve requirements/dev.lock anew (needs Python 3.11, 3.12 and 3.13)
	$$(tools/python.sh $(VENV)) tools/lock.py $(ARGS)

bench: ## time ours beside torch, and the peer if installed; keeps the result in bench/results
	$(call environment,)
	$(BIN)/python -m bench --keep $(ARGS)

bench-peer: ## build and install the peer that `make bench` compares with, in .venv-peer
	python=$$(tools/python.sh $(VENV)) && "$$python" tools/peer.py $(ARGS)

clean: ## remove the environment and everything that was built
	rm -rf $(VENV) build dist .pytest_cache .hypothesis .ruff_cache .mypy_cache
