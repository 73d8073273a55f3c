# Every target works on a fresh machine with Python 3.11 and make; `.venv` is made from the hashed locks on first use.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CODE := api activities core domain infra integrations models temporal workers workflows
export PYTHONTZPATH :=

.PHONY: help env up demo test fuzz check lock check-locks check-infra bench clean

help: ## What can be made here
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

env: $(VENV)/.installed ## The environment, from the hashed locks

# uv comes first, from its own hashes in the lock, because it installs the rest ten times faster than pip.
# Bytecode is made here: left to the first start, it would take ten seconds of each process.
$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Petfolio needs Python 3.11: install it, or name one with PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/# via/p' requirements-dev.lock > $(VENV)/uv.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	@$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements-dev.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

up: env ## The whole platform; ARGS="--detach --base-port 9000" passes options
	@$(BIN)/petfolio up $(ARGS)

demo: env ## The main job on the running stack, narrated
	@$(BIN)/petfolio demo $(ARGS)

# The tests that break a stack under load come last and alone: they would slow the others down, and be slowed down.
test: env ## Every test; starts what they need and stops it. ARGS="tests/api -k pets" runs some
ifeq ($(ARGS),)
	@$(BIN)/python -m pytest -n 3 --ignore=tests/faults
	@$(BIN)/python -m pytest tests/faults
else
	@$(BIN)/python -m pytest $(ARGS)
endif

fuzz: env ## Ten minutes of strange requests against the OpenAPI document with two people, and new examples of every law
	@PETFOLIO_EXPLORE=1 PETFOLIO_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/fuzz tests/domain --timeout 1500

check: env check-locks ## Lint, format, types, security, licences, architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/bandit --quiet --severity-level medium --configfile pyproject.toml --recursive $(CODE)
	@$(BIN)/python infra/check_dependencies.py
	@$(BIN)/python -m pytest -q tests/architecture

lock: ## Both locks anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock

check-locks: env ## The locks fit pyproject.toml and name no host
	@$(BIN)/python infra/check_locks.py

check-infra: env ## Compose file and image, offline
	@$(BIN)/python infra/check_infra.py

bench: env ## Side-by-side measurements with ratios, on a stack of their own; writes bench/RESULTS.md
	@$(BIN)/python -m bench $(ARGS)

clean: ## The environment and the caches; never the data folder
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
