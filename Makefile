# Every target prepares what it needs; its second run starts at once.

VENV := .venv
PYTHON := $(VENV)/bin/python
PACKAGES := $(VENV)/.installed
AZURITE := .sandbox/node_modules/.installed
# Arguments for pytest: a folder, a file, or options such as TESTS="tests/unit -k priority"
TESTS ?= tests
# Duration of `make faults`
MINUTES ?= 10
# Processes that share the tests
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: run test test-sandbox faults check bench screenshots package template lock openapi help setup lint types imports policies

run: setup ## Start the sandbox, do the main job once, stay up until Ctrl-C (ONCE=1: exit after the job; HARDENED=mfa)
	@exec $(PYTHON) -m sandbox.run $(if $(ONCE),--once) $(if $(HARDENED),--hardened $(HARDENED))

test: setup ## Run the tests (TESTS="tests/unit -k priority" for some of them)
	@$(PYTHON) -m pytest -q -n $(WORKERS) --dist loadscope $(TESTS)

test-sandbox: setup ## Run the tests of the sandbox itself: its ServiceNow, Graph, Key Vault, Functions host
	@$(PYTHON) -m pytest -q -n $(WORKERS) --dist loadscope tests/sandbox

faults: setup ## Test two hosts with random faults (MINUTES=10; SEED=123 repeats a failed schedule)
	@MINUTES=$(MINUTES) SEED=$(SEED) $(PYTHON) -m pytest -q -s tests/faults/test_schedules.py

check: setup lint types imports policies test ## Everything CI runs: lint, types, import contracts, policies, tests (Bicep included)

bench: setup ## Measure the figures that the design promises
	@$(PYTHON) -m benchmarks

screenshots: setup ## Take pictures of the pages for docs/images (needs Chromium)
	@$(PYTHON) -m sandbox.screenshots

package: ## Build the package that installs itself, build/released-package.zip, and its checksum
	@python=$$(sandbox/find-python.sh) && "$$python" -m release.package

template: ## Compile the templates to build/azuredeploy.json, for Terraform and others (needs Bicep)
	@python=$$(sandbox/find-python.sh) && "$$python" -m release.template

lock: ## Renew the hashes of the package's wheels, release/wheels.txt, after a change of requirements.txt
	@python=$$(sandbox/find-python.sh) && "$$python" -m release.wheels

openapi: setup ## Renew docs/openapi.json
	@$(PYTHON) -m sandbox.openapi_file

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lint: setup
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

types: setup
	@$(VENV)/bin/mypy .

imports: setup
	@$(VENV)/bin/lint-imports

policies: setup
	@$(PYTHON) -m tests.infra.run_checkov

setup: $(PACKAGES) $(AZURITE)

$(PACKAGES): requirements.txt requirements-dev.txt
	@python=$$(sandbox/find-python.sh) && { [ -x $(PYTHON) ] || "$$python" -m venv $(VENV); }
	@echo "Installing the Python packages ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

$(AZURITE): sandbox/npm/package.json sandbox/npm/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20 or newer with npm is missing: Azurite, the storage emulator, runs on it. Install it and run make again." >&2; exit 1; }
	@echo "Installing the npm packages ..."
	@mkdir -p .sandbox
	@cp sandbox/npm/package.json sandbox/npm/package-lock.json .sandbox/
	@npm ci --prefix .sandbox --silent --no-audit --no-fund
	@touch $@
