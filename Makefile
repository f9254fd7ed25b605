# make help lists the targets. Everything needed is installed into .venv, from any state of the clone; the programs of
# others that make test-clients runs, into .venv-clients. Tests run in as many processes as there are cores, up to 4.
.DEFAULT_GOAL := help
.PHONY: help install train test test-clients test-gpu test-torch lint docs docs-serve wheel wheel-check clean

ARGS ?=
# What other software puts on these paths (ROS, for one) is not part of this environment.
unexport PYTHONPATH PYTHONHOME

help:
	@echo "make install       install everything into .venv, test tools too"
	@echo "make train         install, train a Unitree Go1 (or ARGS='TASK --option ...'), show the result"
	@echo "make test          install, run all tests (ARGS='tests/core -x' for some)"
	@echo "make test-clients  mjlab, Isaac Lab and MuJoCo Playground with this package in rsl_rl's place (ARGS='-k vision' for some)"
	@echo "make test-gpu      what a GPU has to do, and how fast it is (ARGS='--against reference/bin/python' for a comparison)"
	@echo "make test-torch    the tests with another release of torch, in an environment of its own: TORCH=2.6.0"
	@echo "make lint          install, check style, formatting and types"
	@echo "make docs          install, build the documentation into site/ (any warning fails)"
	@echo "make docs-serve    show the documentation at http://127.0.0.1:8000 while it is edited"
	@echo "make wheel         install, build the package in dist/"
	@echo "make wheel-check   try the package in empty environments of every Python here (PYTHONS='python3.12' for some)"
	@echo "make clean         remove what the other targets made, except runs/"

install:
	@sh scripts/install.sh

train:
	@sh scripts/install.sh train
	.venv/bin/rsl-rl train $(ARGS)

test: install
	.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

test-clients:
	@sh scripts/install.sh clients
	.venv-clients/bin/python -m pytest --numprocesses auto --maxprocesses 3 --dist loadfile clients $(ARGS)

test-gpu: install
	@.venv/bin/rsl-rl doctor --gpu $(ARGS)

test-torch:
	@TORCH=$(TORCH) sh scripts/install.sh torch
	.venv-torch-$(TORCH)/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal $(ARGS)

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 .venv/bin/pyright

# The switch hides an announcement of the theme's authors.
docs:
	@sh scripts/install.sh docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict
	@echo "Open site/index.html in a browser; make docs-serve shows it with its search."

docs-serve:
	@sh scripts/install.sh docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs serve

wheel: install
	rm -rf build
	.venv/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist .

wheel-check: install
	.venv/bin/python scripts/check_wheel.py

clean:
	rm -rf .venv .venv-clients .venv-torch-* build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
