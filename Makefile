# Everything a developer, CI and a first visitor do here: `make help` lists it.

# The virtual environment, and the Python that creates it (by default the first one found that is new enough).
VENV ?= .venv
PYTHON ?=

# make test: tests run in parallel, so numeric libraries get one core each. All tests of a file run in one process,
# since they share servers; tests/conftest.py puts the slow ones first. Python may keep what it compiles: every server that a test starts would compile it again.
JOBS ?= 3
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
PYTEST = -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

# make serve
SERVER ?= fastapi
MODEL ?= examples/regression_diabetes
PORT ?= 8080
ADDRESS ?= 127.0.0.1:$(PORT)

# make bench: which peers (PEERS= for none), QUICK=1 for a few minutes, RESULTS=FILE for the results page too.
PEERS ?= litserve bentoml mlserver rayserve mlflow
QUICK ?=
RESULTS ?=
ENVIRONMENTS ?= .bench
OUTPUT ?= .bench/results
BENCH ?=

# make conformance: the folder of the clients' environments.
CLIENTS ?= .conformance

# make image: BUILDER is docker, podman or "buildah"; EXTRAS are those of setup.py that are locked.
BUILDER ?= docker
IMAGE ?= datarobot-drum
EXTRAS ?= scikit-learn compile metrics otel
PYTHON_VERSION ?= 3.12
BUILD ?=
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' custom_model_runner/datarobot_drum/version.py)
REVISION = $(shell git describe --always --dirty 2>/dev/null || echo unknown)

# make lock: not the frameworks whose files differ by accelerator (torch, tensorflow and what needs them).
LOCKED ?= scikit-learn xgboost lightgbm catboost onnx skops statsmodels mlflow compile compile-onnx arrow grpc gevent metrics otel docs scan

RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
DEPLOY_INSTALLED := $(VENV)/.installed-deploy
DOCS_SITE_INSTALLED := $(VENV)/.installed-docs-site
SERVE_INSTALLED := $(VENV)/.installed-serve
SERVE_PACKAGES := .[scikit-learn,docs,terminal]
# The listen address is not always one that clients can connect to.
URL = http://$(patsubst 0.0.0.0:%,127.0.0.1:%,$(patsubst :%,127.0.0.1:%,$(ADDRESS)))
# The request to a model: the curl of its README, else its sample as a table.
README_CURL = $(shell sed -n 's|^Call it: `\(.*\)`$$|\1|p' "$(MODEL:/=)/README.md" 2>/dev/null)
SAMPLE = $(wildcard $(MODEL:/=)/sample.csv)
SAMPLE_CURL = $(if $(SAMPLE),curl -X POST -H 'Content-Type: text/csv' --data-binary @$(SAMPLE) $(URL)/predict/)
CURL = $(or $(subst http://127.0.0.1:8080,$(URL),$(README_CURL)),$(SAMPLE_CURL))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install artifacts serve format check test coverage bench conformance docs docs-site screenshots image lock manifests audit sbom clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12
	@echo
	@echo 'make serve SERVER=fastapi|flask|gunicorn MODEL=examples/... PORT=8080 (or ADDRESS=host:port)'
	@echo 'make image BUILDER=docker|podman|buildah IMAGE=name:tag EXTRAS="scikit-learn xgboost" PYTHON_VERSION=3.12 BUILD="--build-arg ..."'
	@echo 'make bench QUICK=1 PEERS="litserve mlserver" (PEERS= for none) RESULTS=benchmarks/RESULTS.md BENCH="--rounds 9"'
	@echo 'make ... PYTHON=python3.12 picks the interpreter of a new environment, VENV=folder its place'

install: $(INSTALLED) ## Make the environment and install the project into it

# Remove VENV only if it is a virtual environment.
REMOVE_ENVIRONMENT = if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi

$(RUN):
	@$(REMOVE_ENVIRONMENT)
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.10); do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then \
	        echo "Making the environment $(VENV) with $$("$$python" --version)"; \
	        "$$python" -m venv "$(VENV)" && exit 0; \
	        $(REMOVE_ENVIRONMENT); \
	        echo "$$python cannot make an environment: on Debian and Ubuntu install python3-venv." >&2; \
	        exit 1; \
	    fi; \
	done; \
	echo "Python 3.10 or newer is needed and was not found as $(or $(PYTHON),python3)." >&2; \
	echo "Name one: make PYTHON=/path/to/python3 ..." >&2; \
	exit 1

# Installs run only if one of these files has changed. uv takes a tenth of pip's time, but does not read pip's
# configuration: where it cannot install, pip does.
UV_VERSION ?= uv>=0.5,<1
PIP_AUDIT ?= pip-audit>=2.7,<3
PIP_INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check
INSTALL = { $(PIP_INSTALL) "$(UV_VERSION)" && $(RUN) -m uv pip install --quiet --python "$(RUN)" $(1); } || $(PIP_INSTALL) $(1)

$(INSTALLED): setup.py requirements.txt pyproject.toml | $(RUN)
	$(call INSTALL,--requirement requirements.txt)
	@touch "$@"

# An example needs a third of what the tests need. After make install there is nothing left to install.
$(SERVE_INSTALLED): setup.py pyproject.toml | $(RUN)
	@[ -f "$(INSTALLED)" ] || { $(call INSTALL,--editable "$(SERVE_PACKAGES)"); }
	@touch "$@"

# Helm's engine and the linters are large: only what needs them installs them.
$(DEPLOY_INSTALLED): $(INSTALLED)
	$(call INSTALL,--editable '.[deploy]')
	@touch "$@"

$(DOCS_SITE_INSTALLED): $(INSTALLED)
	$(call INSTALL,--editable '.[docs-site]')
	@touch "$@"

artifacts: $(INSTALLED) ## Train the example models that are not up to date
	@$(RUN) examples/make_artifacts.py

serve: $(SERVE_INSTALLED) ## Serve the model in MODEL until Ctrl-C
	@$(RUN) examples/make_artifacts.py
	@if [ -n "$(CURL)" ]; then \
	    echo "Once the server is ready, call it from another terminal:"; \
	    echo; \
	    echo "  $(CURL)"; \
	    echo; \
	fi
	@DRUM_SERVER_TYPE="$(SERVER)" exec $(RUN) .ci/foreground.py \
	    $(VENV)/bin/drum server --code-dir "$(MODEL)" --address "$(ADDRESS)"

format: $(INSTALLED) ## Format the code, mend what the linter can
	$(RUN) -m ruff check --fix-only --quiet .
	$(RUN) -m ruff format .

check: $(INSTALLED) ## Check format, lint, types and links
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) .ci/links.py
	$(RUN) -m mypy

test: artifacts $(if $(ALL),$(DEPLOY_INSTALLED) $(DOCS_SITE_INSTALLED)) ## Run the tests; with ALL=1 also those that take minutes
	$(TEST_ENVIRONMENT) $(RUN) $(PYTEST) $(if $(ALL),--all)

coverage: artifacts $(DEPLOY_INSTALLED) $(DOCS_SITE_INSTALLED) ## Run all tests and say which lines they missed
	$(RUN) -m coverage erase
	$(TEST_ENVIRONMENT) $(RUN) -m coverage run $(PYTEST) --all
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

bench: $(INSTALLED) ## Compare our servers with bare apps and their peers
	$(RUN) -m benchmarks.compare $(if $(filter-out 0,$(QUICK)),--quick) --peers $(PEERS) --environments "$(ENVIRONMENTS)" \
	    --output "$(OUTPUT)" $(if $(RESULTS),--results "$(RESULTS)") $(BENCH)

conformance: artifacts ## Run the published clients, write docs/reference/conformance.md
	$(RUN) -m tests.conformance_clients --environments "$(CLIENTS)" --output docs/reference/conformance.md

docs: $(INSTALLED) ## Regenerate the tables of docs/reference, and the README's chart
	$(RUN) -m datarobot_drum.drum.commands.reference docs/reference/*.md
	$(RUN) -m benchmarks.compare.readme_chart

# MkDocs prints a notice of its theme's future; there is nothing to do about it here.
docs-site: $(DOCS_SITE_INSTALLED) ## Build the documentation as a site in build/site
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet
	@echo 'Written: build/site/index.html'

screenshots: docs-site artifacts ## Take the pictures of the documentation with Chromium
	$(RUN) .ci/screenshots.py

image: ## Build the container image
	$(BUILDER) build --tag "$(IMAGE)" --build-arg PYTHON_VERSION="$(PYTHON_VERSION)" --build-arg EXTRAS="$(EXTRAS)" \
	    --build-arg VERSION="$(VERSION)" --build-arg REVISION="$(REVISION)" $(BUILD) .

lock: $(DEPLOY_INSTALLED) ## Lock versions and hashes of what the image installs
	deploy/image/lock $(RUN) $(LOCKED)

manifests: $(DEPLOY_INSTALLED) ## Render the Helm chart to deploy/kubernetes
	$(RUN) deploy/kubernetes/render.py

audit: $(INSTALLED) ## Look up the installed packages in the advisory data
	@$(call INSTALL,'$(PIP_AUDIT)') || true
	@.ci/audit "$(RUN)"

sbom: $(INSTALLED) ## List the installed packages as CycloneDX in build/sbom.json
	@mkdir -p build
	$(RUN) -m cyclonedx_py environment --output-reproducible --of JSON --output-file build/sbom.json $(RUN)
	@echo 'Written: build/sbom.json'

clean: ## Remove what the other targets made
	rm -rf .venv .bench .conformance build dist htmlcov custom_model_runner/*.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.*
	rm -f examples/*/model.pkl examples/.artifacts.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
