# Every target sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help run test scenarios chaos check format peers lock proto proto-accept clean bench-%

help: ## show the targets
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Wigwag needs Python 3.11 or newer, this is %d.%d: make PYTHON=python3.11 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP) ## run every service embedded, with demo users and a self-made certificate
	$(BIN)/wigwag run --demo

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest

scenarios: $(STAMP) ## run the scenarios of many pods in their full length
	WIGWAG_SCENARIOS=long $(BIN)/python -m pytest -s tests/scenarios/cluster tests/scenarios/sip tests/scenarios/ua tests/scenarios/test_full_disk.py

chaos: $(STAMP) ## kill and stop pods, Redis and the broker 200 times under the gateway's traffic, 15 minutes or more
	WIGWAG_SCENARIOS=long $(BIN)/python -m pytest -s tests/scenarios/gateway/test_chaos.py

check: $(STAMP) ## lint, types, import contracts, generated files clean
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate.py --check

format: $(STAMP) ## format the code and write the generated files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/generate.py

proto: $(STAMP) ## lint the contracts, look for breaking changes, write the generated code
	$(BIN)/python scripts/contracts.py

proto-accept: $(STAMP) ## make the contracts as they are the baseline that later changes may not break
	$(BIN)/python scripts/contracts.py --accept

peers: ## install the peers that interoperability tests talk to (Debian, as root)
	sh scripts/install-peers.sh

bench-%: $(STAMP) ## run one benchmark beside its peer: make bench-relay
	$(BIN)/python -m bench.$*

lock: ## write the hash-pinned requirements again
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q pyproject.toml -o requirements/run.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --extra dev pyproject.toml -o requirements/dev.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist wigwag-data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
