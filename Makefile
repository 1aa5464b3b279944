.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# In an environment of their own, for they want other versions of pandas or bring a package called pytrends.
PEERS := pytrends-next==0.1.0 gdeltdoc==1.12.0 mwviews==0.2.1 pageviewapi==0.5.0 fredapi==0.5.2 Mastodon.py==2.3.3
# Its licence (GPL-3) and its versions are its own: it runs as a process beside Groundswell.
TRYTON := trytond==8.2.1 proteus==8.2.0 trytond-stock-forecast==8.2.0

# Of OData: in one more environment, together with those from npm.
ODATA_CLIENTS := python-odata==0.8.1 sqlalchemy-odata==0.2.3 odatapy==5.3.0 httpx==0.28.1

.PHONY: help setup demo serve test test-heavy peers tryton odata-clients spark lint format bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Groundswell needs Python 3.11 or later, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/.installed-dev ## make .venv with Groundswell and its development tools

demo: $(VENV)/.installed ## install, load the demo retailer, forecast it, write report.html
	$(BIN)/groundswell demo --out report.html

serve: $(VENV)/.installed ## serve the API on http://127.0.0.1:8000/docs
	$(BIN)/groundswell serve

test: $(VENV)/.installed-dev ## the quick tests (under 5 minutes)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not heavy"

peers: .venv-peers/.installed ## independent clients that prove the fakes of the sources faithful, in .venv-peers

tryton: .venv-tryton/.installed ## an ERP to prove exports and imports with, in .venv-tryton

.venv-tryton/.installed: Makefile
	$(PYTHON) -m venv .venv-tryton
	.venv-tryton/bin/python -m pip install --quiet --disable-pip-version-check $(TRYTON)
	@touch $@

.venv-peers/.installed: Makefile
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check $(PEERS)
	@touch $@

odata-clients: .venv-odata/.installed ## clients of OData that others wrote, from PyPI and npm, in .venv-odata

.venv-odata/.installed: Makefile tests/api/odata_clients/package.json
	$(PYTHON) -m venv .venv-odata
	.venv-odata/bin/python -m pip install --quiet --disable-pip-version-check $(ODATA_CLIENTS)
	cp tests/api/odata_clients/package.json .venv-odata/
	cd .venv-odata && npm install --no-audit --no-fund --silent
	@touch $@

spark: $(VENV)/.installed-spark ## PySpark in .venv, for `groundswell run --on spark` and its tests (needs Java 17 or later)

$(VENV)/.installed-spark: $(VENV)/.installed-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[spark]'
	@touch $@

test-heavy: $(VENV)/.installed-dev ## the slow tests: real servers, kills, a browser, real data
	$(BIN)/python -m pytest -m heavy

lint: $(VENV)/.installed-dev ## formatting, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev ## the measurements behind the figures in the docs
	$(BIN)/python -m bench

clean: ## remove what the tools left behind (not .venv, not data/home)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis report.html
