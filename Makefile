# What a contributor types. `make` alone lists it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)/tools
PYTEST := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder
COMPILE := $(TOOLS)/bin/uv pip compile --quiet --generate-hashes --no-annotate --constraints constraints.txt \
	--python-platform linux --python-version 3.13 --custom-compile-command "make lock"
# Tests start this program some hundred times; each would compile its modules anew.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help

.PHONY: help
help:  ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

.PHONY: demo
demo: $(VENV)/.installed  ## run exporter and simulated API together: no account, no token
	$(BIN)/pearl-exporter demo

.PHONY: test
test: lint helm  ## check style, types and rooms, then run all tests
	$(PYTEST)

.PHONY: coverage
coverage: $(VENV)/.installed-dev helm  ## run all tests and tell what they leave out
	$(PYTEST) --cov --cov-report=term

.PHONY: helm
helm: $(BIN)/helm  ## put Helm into .venv, for the tests of the chart

$(BIN)/helm: tests/deploy/install_helm.py $(VENV)/bin/python
	$(BIN)/python tests/deploy/install_helm.py $@

.PHONY: chart
chart: helm  ## package the Helm chart, rules and dashboards in it, into dist/
	$(BIN)/helm package deploy/kubernetes/pearl-exporter --destination dist

.PHONY: image-test
image-test: $(VENV)/.installed-dev  ## as root: build the image and run it confined
	$(BIN)/pytest -m image tests/image

.PHONY: lint
lint: $(VENV)/.installed-dev  ## check style, types and the arrow between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: hooks
hooks: $(TOOLS)/.installed $(VENV)/.installed-dev  ## let git run what make lint runs before each commit
	$(TOOLS)/bin/pre-commit install

.PHONY: format
format: $(VENV)/.installed-dev  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

.PHONY: bench
bench: $(VENV)/.installed-bench  ## measure cost and speed: ARGS=--quick for a fast look
	$(BIN)/python -m bench.cost $(ARGS)

.PHONY: dashboards
dashboards: $(VENV)/.installed-dev  ## write the Grafana dashboards from their code
	$(BIN)/python -m tools.dashboards

.PHONY: dashboards-check
dashboards-check:  ## check the dashboards against Grafana's own types (needs node and npm)
	npm ci --silent --no-audit --no-fund --ignore-scripts --prefix tools/dashboard_schema
	node tools/dashboard_schema/check.mjs

.PHONY: soak
soak: $(VENV)/.installed-bench  ## run for half an hour with faults on and see whether anything grows: ARGS=--minutes=10
	$(BIN)/python -m bench.soak $(ARGS)

# pip-audit needs the vulnerability service of the package index. --strict: a package that could not
# be looked up is no package without weaknesses.
.PHONY: audit
audit: $(TOOLS)/.installed $(VENV)/.installed-dev  ## look up known vulnerabilities of what runs, by constraints.txt
	$(BIN)/python -m tools.third_party --pinned > $(TOOLS)/requirements.txt
	$(TOOLS)/bin/pip-audit --strict --disable-pip --no-deps --requirement $(TOOLS)/requirements.txt || \
	  { echo "No clean audit: a weakness is listed above; or the service could not be asked, if" \
	    "that says \"not found on PyPI\", or something of a connection."; exit 1; }

.PHONY: sbom
sbom: $(TOOLS)/.installed  ## write dist/sbom.json: a CycloneDX list of what an installation holds
	rm -rf $(TOOLS)/installed && $(PYTHON) -m venv --without-pip $(TOOLS)/installed
	$(BIN)/python -m pip --python $(TOOLS)/installed/bin/python install --quiet -c constraints.txt .
	@mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py environment $(TOOLS)/installed/bin/python \
	  --pyproject pyproject.toml --output-reproducible --of JSON -o dist/sbom.json

.PHONY: third-party
third-party: $(VENV)/.installed-dev  ## write THIRD_PARTY.md: the packages that run, and their licences
	$(BIN)/python -m tools.third_party

# The image is Linux with the Python of the Dockerfile, on any kind of processor: hashes of all files of a release.
.PHONY: lock
lock: $(TOOLS)/.installed  ## write requirements/: what the image installs, with hashes, by constraints.txt
	$(COMPILE) pyproject.toml --output-file requirements/image.txt
	echo hatchling | $(COMPILE) - --output-file requirements/image-build.txt

.PHONY: dist
dist: $(VENV)/.installed-dev  ## build sdist and wheel into dist/: the same bytes everywhere
	$(BIN)/python -m hatchling build -d dist

.PHONY: clean
clean:  ## remove what the commands above made
	rm -rf $(VENV) .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# apart from .venv: what looks at packages brings many of its own
$(TOOLS)/.installed: | $(VENV)/bin/python
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3' 'cyclonedx-bom>=7.5,<8' 'uv>=0.13,<1' 'pre-commit>=4,<5'
	@touch $@

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-bench: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-bench
