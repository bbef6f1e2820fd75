# Crosscheck. `make` sets up, runs every study and writes the report; `make help` lists the rest.

SCALE   ?= standard
BACKEND ?= tensorflow
JOBS    ?=
ON      ?=
DATA    ?=
FROM    ?=
GPU     ?=
REPLACE ?=
TINY    ?=

# The first Python that really runs (a version manager may leave names that do not) and can make environments.
SUITABLE = import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	if "$$python" -c '$(SUITABLE)' 2>/dev/null; then echo "$$python"; break; fi; done)

VENV       := .venv
BIN        := $(VENV)/bin
READY      := $(VENV)/.ready
CROSSCHECK := $(BIN)/crosscheck
OPTIONS     = --scale $(SCALE) --backend $(BACKEND) $(if $(JOBS),--jobs $(JOBS)) $(if $(ON),--on $(ON)) \
	$(addprefix --data ,$(DATA)) $(if $(filter 1,$(GPU)),--gpu) $(if $(filter 1,$(REPLACE)),--replace)
PYTEST      = $(BIN)/python -m pytest -n $(or $(JOBS),2) --dist loadgroup --no-loadscope-reorder
SHORT       = and not long
STUDIES    := $(filter-out _%,$(basename $(notdir $(wildcard studies/*.py))))

.PHONY: all setup test test-all report report-pdf site verify audit audit-rates doctor-rates diagnose-rates practice practice-check practice-rates bench device-check data check clean help $(STUDIES)
.DEFAULT_GOAL := all

all: $(READY)  ## run every study, write results and report
	@$(CROSSCHECK) run $(OPTIONS)

$(STUDIES): $(READY)
	@$(CROSSCHECK) run $@ $(OPTIONS)

setup: $(READY)  ## only make the environment

test: $(READY)  ## the tests: studies at the smoke scale, then pytest, then what every backend that is here must pass
	@$(CROSSCHECK) run --scale smoke --quiet $(if $(JOBS),--jobs $(JOBS)) || test $$? -eq 1  # pytest says what is wrong
	$(PYTEST)
	@for backend in jax torch; do \
	  if $(BIN)/python -c "import importlib.util, sys; sys.exit(not importlib.util.find_spec('$$backend'))"; then \
	    echo "On $$backend:" && KERAS_BACKEND=$$backend JAX_ENABLE_X64=1 $(PYTEST) -m 'every_backend $(SHORT)' || exit 1; \
	  fi; \
	done

test-all: PYTEST += -m 'long or not long'
test-all: SHORT =
test-all: export CROSSCHECK_FUZZ = 1000
test-all: test  ## the tests with their long versions

report: $(READY)  ## write the report anew from results/
	@$(CROSSCHECK) report

report-pdf: $(READY)  ## print it as well: build/report.pdf (needs Chromium)
	@$(CROSSCHECK) report --pdf build/report.pdf

site: $(READY)  ## the documentation as a site: build/site/index.html (fetches nothing)
	@$(BIN)/python -m sphinx -q -n -W --keep-going -d build/doctrees -c docs . build/site
	@cp build/site/README.html build/site/index.html

verify: $(READY)  ## run afresh and compare with the committed results
	@$(CROSSCHECK) verify $(if $(JOBS),--jobs $(JOBS)) $(if $(ON),--on $(ON))

audit: $(READY)  ## check every classification loss that Keras ships: results/audit/
	@$(CROSSCHECK) audit || test $$? -eq 1

audit-rates: $(READY)  ## how often the audit is wrong: N=400 random losses, half of them broken: results/audit/rates.*
	@$(BIN)/python -m benchmarks.audit_rates $(or $(N),400)

doctor-rates: $(READY)  ## how often the doctor is wrong: N=450 random models: results/doctor/rates.*
	@$(BIN)/python -m benchmarks.doctor_rates $(or $(N),450)

diagnose-rates: $(READY)  ## how often the diagnosis is wrong, N=400 healthy programs and every fault: results/diagnose/
	@$(BIN)/python -m benchmarks.diagnose_rates $(or $(N),400) --exact $(if $(JOBS),--jobs $(JOBS)); exact=$$?; \
	$(BIN)/python -m benchmarks.diagnose_rates $(or $(N),400) --trained --out results/diagnose/trained $(if $(JOBS),--jobs $(JOBS)) && exit $$exact

practice: $(READY)  ## lay out exercises in practice/: losses to write, sick programs, baselines to improve
	@$(CROSSCHECK) practice --backend $(BACKEND)

practice-check: $(READY)  ## mark what is in practice/: 0 from the mark on, 1 below, 2 where it could not look
	@$(CROSSCHECK) practice --check --backend $(BACKEND)

practice-rates: $(READY)  ## how often the marker of the practice is wrong: results/practice/
	@$(BIN)/python -m benchmarks.practice_rates

bench: $(READY)  ## time Replicates against loops, hand-written programs and the limit: results/bench/
	@$(BIN)/python -m benchmarks

device-check: $(READY)  ## eight minutes on one GPU: rows, timings, provenance: results/device/ (TINY=1: does it run?)
	@$(BIN)/python -m benchmarks.device_check $(if $(filter 1,$(TINY)),--tiny --out build/device)

data: $(READY)  ## list the data sets; DATA="mnist …" fetches them, FROM=FOLDER from original files
	@$(CROSSCHECK) data $(DATA) $(if $(FROM),--from $(FROM))

check: $(READY)  ## lint and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

clean:  ## remove saved rows and caches; results/ and the environment stay
	rm -rf .store build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find suite studies tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18
	@printf '  STUDY       one study: %s\n' '$(STUDIES)'
	@printf 'Variables: SCALE=smoke|standard|full BACKEND=tensorflow|jax|torch JOBS=N ON=CLUSTER DATA=… N=… GPU=1 REPLACE=1 TINY=1 PYTHON=…\n'

$(READY): requirements.txt pyproject.toml
	@rm -f $@
	@$(BIN)/python -c '' 2>/dev/null || $(MAKE) --no-print-directory $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: $(VENV)
$(VENV):
	@"$(PYTHON)" -c '$(SUITABLE)' 2>/dev/null || { \
	  echo 'Crosscheck needs Python 3.11, 3.12 or 3.13 with its venv module, and found none$(if $(PYTHON), at "$(PYTHON)").' >&2; \
	  echo 'Install one (Debian, Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3.12' >&2; \
	  exit 2; }
	"$(PYTHON)" -m venv --clear $(VENV)
