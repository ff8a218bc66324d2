# The few commands; `make` alone lists them. Beforehand only Python (3.11 or newer), make and git are needed.
PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
SITE_URL ?= http://$(HOST):$(PORT)
RUN := .venv/bin/python
# -q -q: pip's notices about package locations that a machine lists but lacks are no news to anybody here.
PIP := $(RUN) -m pip install --quiet --quiet --disable-pip-version-check --no-input

# A folder given relative to here means the same to every process.
ifdef VAR_DIR
override VAR_DIR := $(abspath $(VAR_DIR))
export VAR_DIR
endif
export PHOTOS BACKBONE_WEIGHTS

.DEFAULT_GOAL := help
.PHONY: help setup serve demo test check bench

help:
	@echo "make demo    plays one whole day, in minutes (PHOTOS=<folder of label folders>, BACKBONE_WEIGHTS=imagenet|none|<file>)"
	@echo "make serve   web + worker + beat on $(SITE_URL) (PORT=)"
	@echo "make test    every test, on SQLite and on PostgreSQL + Redis that it starts itself"
	@echo "make check   ruff, mypy, templates, migrations, check --deploy, the OpenAPI schema"
	@echo "make bench   ratios against peers, faults, slow senders (PART=; docs/benchmarks.md)"
	@echo "make setup   the virtual environment and the database; the others call what they need of it"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Photorally needs Python 3.11 or newer. Install it, or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making the virtual environment .venv …"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is missing (on Debian: apt-get install python3-venv)."; exit 1; }

# A stamp is the list that was installed: nothing is installed again until the list changes.
.venv/requirements.stamp: requirements.txt | .venv/bin/python
	@echo "Installing what Photorally runs on (about two minutes the first time) …"
	@$(PIP) -r requirements.txt
	@cp requirements.txt $@

.venv/requirements-dev.stamp: requirements-dev.txt requirements.txt | .venv/bin/python
	@echo "Installing what Photorally runs on and is tested with (about two minutes the first time) …"
	@$(PIP) -r requirements-dev.txt
	@cp requirements.txt .venv/requirements.stamp
	@cp requirements-dev.txt $@

# What the tests use from npm; npm writes the stamp itself.
node_modules/.package-lock.json: package-lock.json
	@echo "Installing what the tests use from npm …"
	@npm ci --no-audit --no-fund --silent
	@touch $@

setup: .venv/requirements.stamp
	@$(RUN) manage.py migrate --verbosity 0
	@echo "Ready. The data lies in $(or $(VAR_DIR),var)."

serve: export PORT := $(PORT)
serve: export HOST := $(HOST)
serve: export SITE_URL := $(SITE_URL)
serve: setup
	@$(RUN) manage.py check
	@PATH="$(CURDIR)/.venv/bin:$$PATH" exec $(RUN) -m honcho --env /dev/null --app-root . \
		--procfile deploy/Procfile$(if $(REDIS_URL),,.embedded) start

demo: .venv/requirements.stamp
	@exec $(RUN) manage.py demo

test: .venv/requirements-dev.stamp
	@exec $(RUN) -m tests.real_servers

check: .venv/requirements-dev.stamp
	@RUN="$(RUN)" sh deploy/check.sh

bench: .venv/requirements-dev.stamp
	@exec $(RUN) -m bench $(PART)
