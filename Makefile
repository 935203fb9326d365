# Everything runs from the environment in .venv, made from hashed, pinned requirements.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test test-all agents bench lint docs requirements clean

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "toughen needs Python 3.11 or newer; say which with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Check a prototype, mend it, check it again
	@bash tools/demo.sh $(BIN)/toughen

lint: $(READY) ## ruff, mypy, import-linter
	$(BIN)/ruff check src tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Lint, then every test but the long ones, two at a time
	$(BIN)/python -m pytest -q -m "not long" --numprocesses 2 --dist worksteal

test-all: lint ## Lint, then every test, with branch coverage, then `make agents`
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage report
	@$(MAKE) --no-print-directory agents

agents: $(READY) ## Test the agent under each Python that it may meet and that this machine has
	@$(BIN)/python tools/agent_pythons.py

bench: $(READY) ## Measure what toughen costs, as ratios within one run, against the bounds that it promises
	$(BIN)/python -m bench

docs: $(READY) ## Make docs/rules from the rules' own words, and all documents as a site in site/
	$(BIN)/python tools/rule_pages.py docs/rules
	$(BIN)/python tools/docs_site.py site

requirements: $(READY) ## Pin and hash the requirements anew
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --universal --python-version 3.11 \
		--custom-compile-command "make requirements" --group dev --output-file requirements/dev.txt pyproject.toml

clean: ## Remove what was made
	rm -rf .venv .venv-agents dist site .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
