# `make demo` and `make test` work on a machine with nothing but Python >= 3.11, a C compiler and
# make: each creates .venv, builds the package, installs it there and runs. `make help` lists more.

PYTHON ?= python3
VENV ?= .venv
TEST_WORKERS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=
RELIABILITY_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
# Not compiled when they are installed: that takes 14 s for all modules of the requirements, of which most are never
# imported; Python compiles the others when they first are.
INSTALL := $(PIP) install --no-compile
# Everything runs against the installed package, never against the source folder: its kernels are
# not compiled there. PYTHONSAFEPATH keeps the current folder out of sys.path, in child processes too.
RUN := PYTHONSAFEPATH=1 $(BIN)/python
REQUIREMENTS = $(BIN)/python -c 'import tomllib; \
    print(*tomllib.load(open("pyproject.toml", "rb"))$(1), sep="\n")'
PYTEST := $(RUN) -m pytest $(PYTEST_ARGS)

# Folders are listed too: their time changes when a file is removed.
SOURCES := pyproject.toml MANIFEST.in README.md LICENSE setup.py \
    $(shell find sklstm -name __pycache__ -prune -o -type d -print -o -type f \
        ! -name '*.so' ! -name '_*.c' ! -name '*.html' -print)

PUBLIC_MODULES := $(sort $(wildcard sklstm/[a-z]*.py sklstm/__init__.py sklstm/cells/*.py sklstm/datasets/*.py))

.DELETE_ON_ERROR:
.PHONY: help demo test test-all reliability bench docs lint format wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make demo     train on the bundled data, print the table of errors, write demo.png"
	@echo "make test     run the test suite and the examples of the docstrings"
	@echo "make test-all the same, kernels and networks once per instruction set, and every cell with every option and configuration"
	@echo "make reliability  what takes minutes and is no part of the tests: doc/studies/reliability.md"
	@echo "make bench    measure beside PyTorch, skorch and onnxruntime and beside the limits of the machine,"
	@echo "              write doc/performance.md and .json"
	@echo "make docs     build the pages as a site in doc/_build/html"
	@echo "make lint     run the linters"
	@echo "make format   let ruff fix and format the Python files"
	@echo "make wheel    build a wheel into dist/"
	@echo "make clean    remove .venv and every build product"
	@echo "Variables: PYTHON=python3.12, VENV=.venv, TEST_WORKERS=2, PYTEST_ARGS='-k name', BENCH_ARGS=--quick"

demo: $(VENV)/demo.stamp
	$(RUN) examples/forecast_oil_temperature.py

# In these folders every result depends on the instruction set (but for the thread pool); elsewhere a test
# says so by the marker `isa`. `make test` takes the best set of this machine, `make test-all` each of the others that float
# networks have as well; tests that go through all sets by themselves, those of reduced numbers too, run once.
ISA_FOLDERS := tests/kernels tests/network
ISA_MARKED = $$(grep -rl --include='test_*.py' 'mark\.isa' tests | grep -v $(ISA_FOLDERS:%=-e '^%/'))
OTHER_ISAS = $$($(RUN) -c 'from sklstm._kernels import ISA, available_isas as f; print(*set(f()) - {ISA})')

test: $(VENV)/test.stamp
	$(PYTEST) -n $(TEST_WORKERS) tests
	$(PYTEST) --doctest-modules --pyargs sklstm

# What takes longer: kernels, networks and the marked tests once per instruction set, and each cell with every option and in
# all random configurations, of which `make test` takes some.
test-all: test
	@set -e; isas=$(OTHER_ISAS); marked=$(ISA_MARKED) || true; \
	for isa in $$isas; do \
	    export SKLSTM_MAX_ISA=$$isa; echo; echo "SKLSTM_MAX_ISA=$$isa"; \
	    $(PYTEST) -n $(TEST_WORKERS) --ignore-glob='*/test_*pool*.py' -m 'not every_isa' tests/kernels; \
	    $(PYTEST) -n $(TEST_WORKERS) -m 'not every_isa' tests/network; \
	    if [ -n "$$marked" ]; then $(PYTEST) -n $(TEST_WORKERS) -m 'isa and not every_isa' $$marked; fi; \
	done
	SKLSTM_ALL_CONFIGURATIONS=1 $(PYTEST) -n $(TEST_WORKERS) $$(grep -lE 'drawn_cells|some_of|with_some|isas_of|ALL_CONFIGURATIONS' tests/network/test_*.py tests/test_*.py)

# Not part of the tests: about two hours of a quiet machine, and the sanitizers of gcc. RELIABILITY_ARGS="one_hash processes"
# runs some of it alone, --list names all, --whole takes every case of the suite where it is run.
reliability: $(VENV)/reliability.stamp
	$(RUN) tests/reliability/run.py $(RELIABILITY_ARGS)

# Not part of the tests: it takes a quiet machine and several minutes. The scripts of the benchmark lie
# side by side; only their folder is added to sys.path.
bench: $(VENV)/bench.stamp
	PYTHONPATH=tests/benchmarks $(RUN) tests/benchmarks/bench.py --write $(BENCH_ARGS)
	PYTHONPATH=tests/benchmarks $(RUN) tests/benchmarks/roofline.py --write $(filter --quick --list,$(BENCH_ARGS))

# Not part of the tests either: it takes minutes, most of them for the examples that run. A warning is an error.
docs: $(VENV)/docs.stamp
	$(RUN) -m sphinx --fail-on-warning --keep-going --quiet -j 1 -d doc/_build/doctrees doc doc/_build/html
	@echo "Look at doc/_build/html/index.html"

# Docstrings: the public modules document every argument and value; elsewhere a one-line docstring may
# do, and a name with a shape may say it all.
lint: $(VENV)/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$$(cd $(BIN) && pwd):$$PATH" cython-lint sklstm
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/numpydoc lint $(PUBLIC_MODULES)
	$(BIN)/numpydoc lint --ignore PR01,PR07,RT01,RT03,YD01 \
	    $(filter-out $(PUBLIC_MODULES),$(filter sklstm/%.py,$(SOURCES)))

format: $(VENV)/lint.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/wheel.stamp
	mkdir -p dist
	cp $(VENV)/wheel/sklstm-*.whl dist/

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache demo.png doc/_build doc/api doc/examples
	find sklstm tests examples -name __pycache__ -prune -exec rm -rf {} +
	find sklstm \( -name '*.so' -o -name '_*.c' -o -name '_*.html' \) -delete

$(VENV)/venv.stamp:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; say which with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: sklstm needs Python >= 3.11, this is $$($(PYTHON) -V); choose with PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Without build isolation: the time stamps of a fresh Cython would make every extension look out of date.
$(VENV)/build.stamp: $(VENV)/venv.stamp pyproject.toml
	@$(call REQUIREMENTS,["build-system"]["requires"]) > $(VENV)/build.txt
	@echo "Installing what the build needs"
	$(INSTALL) -r $(VENV)/build.txt
	@touch $@

# The wheel is built in the tree, so that build/ keeps the kernels and only changed ones are compiled
# again; all else there is dropped, or modules that were removed would live on in the wheel. The flags
# stand in setup.py: when that has changed, everything is compiled again.
$(VENV)/wheel.stamp: $(VENV)/build.stamp $(SOURCES)
	@$(BIN)/python -c 'import os, shutil, sys, sysconfig; \
	    cc = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]; \
	    header = os.path.join(sysconfig.get_path("include"), "Python.h"); \
	    shutil.which(cc) or sys.exit(f"make: no C compiler ({cc}); install one or set CC"); \
	    os.path.exists(header) or sys.exit(f"make: {header} not found; install the headers of Python")'
	@if [ setup.py -nt $@ ]; then rm -rf build; fi
	@if [ -d build ]; then find build -path 'build/lib*' -type f ! -name '*.so' -delete; fi
	@rm -rf $(VENV)/wheel
	@echo "Building sklstm: the kernels are compiled once per instruction set, this takes a while"
	$(PIP) wheel --no-build-isolation --no-deps --wheel-dir $(VENV)/wheel .
	$(INSTALL) --no-deps --force-reinstall $(VENV)/wheel/sklstm-*.whl
	@touch $@

$(foreach name,demo test reliability bench docs,$(VENV)/$(name).stamp): $(VENV)/%.stamp: $(VENV)/wheel.stamp
	@echo "Installing what make $* needs"
	$(INSTALL) "$$(echo $(VENV)/wheel/sklstm-*.whl)[$*]"
	@touch $@

# The linters read the sources only: their requirements are installed, not the package.
$(VENV)/lint.stamp: $(VENV)/venv.stamp pyproject.toml
	@$(call REQUIREMENTS,["project"]["optional-dependencies"]["lint"]) > $(VENV)/lint.txt
	@echo "Installing the linters"
	$(INSTALL) -r $(VENV)/lint.txt
	@touch $@
