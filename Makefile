# Two commands: `make demo` trains a detector and shows its boxes, `make test` runs the tests.
# Both set up what they need; settings: PYTHON=python3.11  TORCH='torch==2.8.0'  VENV=.venv  ARCH=m
# STACK=openmmlab: the official OpenMMLab packages, beside an older torch, in .venv-openmmlab.

export STACK ?= onedl
export VENV ?= $(if $(filter openmmlab,$(STACK)),.venv-openmmlab,.venv)
BIN := $(VENV)/bin
ARCH ?=
CASES ?= 100000
SCALE ?= 1
SAMPLE ?= 40
SEED := $(or $(SEED),$(shell date +%s))
TESTS ?=
# One worker a core with one thread each: the suite is many small computations.
WORKERS ?= logical

.PHONY: help env env-demo demo demo-multilabel test reliability docs packages fuzz soak coverage \
	mutation test-strict lint audit licences clean

help:
	@echo 'make demo             train and evaluate a detector on synthetic images, with pictures'
	@echo 'make demo ARCH=m      the same with the full-size backbone'
	@echo 'make demo-multilabel  the same for image labels'
	@echo 'make test             the test suite'
	@echo 'make reliability      kills and breaks runs, and writes docs/reliability.md from what becomes of them'
	@echo 'make docs             the pages of docs/ as a site in site/, warnings as errors'
	@echo 'make packages         builds sdist and wheel, and uses them in empty environments'
	@echo 'make fuzz             CASES=100000 mutated files against the readers'
	@echo 'make soak             runs for long, and sees that memory and open files do not grow'
	@echo 'make coverage         which lines and branches the tests reach; TESTS=tests/datasets for some'
	@echo 'make mutation         whether the tests find SAMPLE=40 small faults a module'
	@echo 'make test-strict      the tests in random order (SEED=1) and without a network'
	@echo 'make lint             ruff, what may import what, types'
	@echo 'make audit            the installed packages against the database of known weaknesses'
	@echo 'make licences         the licences of the installed packages, into docs/licences.md'
	@echo 'make env              only the environment ($(VENV))'
	@echo 'make test STACK=openmmlab   the test suite beside the official OpenMMLab packages'
	@echo 'make clean            remove what was built and cached; $(VENV) and work_dirs stay'

env:
	@sh .dev_scripts/setup_env.sh

# The demos do not wait for the compiled inplace-abn, which is there for tests and benchmarks.
env-demo:
	@sh .dev_scripts/setup_env.sh demo

demo: env-demo
	$(BIN)/python tools/demo.py $(if $(ARCH),--arch $(ARCH))

demo-multilabel: env-demo
	$(BIN)/python tools/demo_multilabel.py $(if $(ARCH),--arch $(ARCH))

test: env
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 \
		--dist worksteal $(PYTEST)

# The long tests too, which `make test` leaves out.
reliability: env
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 \
		--dist worksteal -p tests.reliability -m reliability \
		--reliability-page docs/reliability.md $(PYTEST)

docs: env
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

packages: env
	OMP_NUM_THREADS=1 $(BIN)/python .dev_scripts/check_packages.py

fuzz: env
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --cases $(CASES) --out docs/fuzz.json

soak: env
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak --scale $(SCALE) --out docs/soak.json

coverage: env
	OMP_NUM_THREADS=1 $(BIN)/python .dev_scripts/measure_coverage.py docs/coverage.json $(TESTS)

mutation: env
	$(BIN)/python -m tests.mutation --sample $(SAMPLE) --out docs/mutation.json

test-strict: env
	@echo 'SEED=$(SEED)'
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE unshare --map-root-user --net \
		$(BIN)/python .dev_scripts/offline.py $(BIN)/python -m pytest -n 2 \
		--random-order --random-order-seed=$(SEED) $(TESTS)

lint: env
	$(BIN)/ruff check
	PYTHONPATH=. $(BIN)/lint-imports
	$(BIN)/mypy

audit: env
	$(BIN)/python .dev_scripts/audit.py

licences: env
	$(BIN)/python .dev_scripts/licences.py docs/licences.md

clean:
	rm -rf build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
