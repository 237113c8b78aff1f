# Two commands: `make demo` trains a detector and shows its boxes, `make test` runs the tests.
# Both set up what they need; settings: PYTHON=python3.11  TORCH='torch==2.8.0'  VENV=.venv  ARCH=m

export VENV ?= .venv
BIN := $(VENV)/bin
ARCH ?=
# One worker a core with one thread each: the suite is many small computations.
WORKERS ?= logical

.PHONY: help env demo demo-multilabel test lint clean

help:
	@echo 'make demo             train and evaluate a detector on synthetic images, with pictures'
	@echo 'make demo ARCH=m      the same with the full-size backbone'
	@echo 'make demo-multilabel  the same for image labels'
	@echo 'make test             the test suite'
	@echo 'make lint             ruff'
	@echo 'make env              only the environment ($(VENV))'
	@echo 'make clean            remove what was built and cached; $(VENV) and work_dirs stay'

env:
	@sh .dev_scripts/setup_env.sh

demo: env
	$(BIN)/python tools/demo.py $(if $(ARCH),--arch $(ARCH))

demo-multilabel: env
	$(BIN)/python tools/demo_multilabel.py $(if $(ARCH),--arch $(ARCH))

test: env
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 \
		--dist worksteal $(PYTEST)

lint: env
	$(BIN)/ruff check

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
