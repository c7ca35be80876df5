# `make demo` and `make test` need Python 3.11+ and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What decides whether a table is complete has hardly a branch untested.
COVERED := swanlab_export/client/*,swanlab_export/pagination.py,swanlab_export/normalizers/*,swanlab_export/files/*
ARGS ?=

.PHONY: demo referees test check types doctests notebooks clean_install coverage platforms workflows \
	docs image lowest bench clean

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable ".[sandbox,plot,polars,excel,store,dask]" --group test --group check
	touch $@

# The official clients, each in an environment of its own: they judge, and are never imported.
referees: $(READY)
	$(BIN)/python tests/referee/make_environments.py $(VENV)/referees

demo: $(READY)
	$(BIN)/swanlab-export api run metrics ada-lab/digits/mlp-long --keys loss --all \
		--save loss.parquet --host sandbox
	$(BIN)/python -c "import pandas; print(pandas.read_parquet('loss.parquet'))"
	@echo
	@echo "Next: $(BIN)/swanlab-export api run list ada-lab/digits --host sandbox --format table"

test: $(READY) referees
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

# Two parts at a time: most of them use one processor.
check: $(READY) referees
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --jobs 2 types platforms doctests notebooks clean_install \
		workflows docs image lowest
	$(MAKE) coverage

types: $(READY)
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python --project tests/typing

doctests: $(READY)
	$(BIN)/python -m pytest --quiet --doctest-modules swanlab_export

notebooks: $(READY)
	$(BIN)/python tests/notebooks/run_notebooks.py

clean_install: $(READY)
	sh tests/clean_install.sh $(CURDIR)/$(BIN)/python

# Runs the suite only where it has not just been run with coverage, as .ci/run does.
coverage: $(READY) referees
	test -f .coverage || $(MAKE) test ARGS="--quiet --cov --cov-report="
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --precision=2 --fail-under=99.5 --include="$(COVERED)"
	rm -f .coverage .coverage.*  # some are of processes that tests killed

# The types of the standard library differ between systems: what only POSIX has is an error here.
platforms: $(READY)
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin

workflows: $(READY)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml \
		.github/ISSUE_TEMPLATE/feature.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/zizmor --offline --quiet --pedantic .github

docs: $(READY)
	$(BIN)/python -W error tests/project/make_docs.py build/docs

image: $(READY)
	$(BIN)/python tests/project/build_image.py

lowest:
	$(PYTHON) tests/project/lowest.py $(VENV)/lowest

bench: $(READY) referees
	PYTHONPATH=tests/support $(BIN)/python tests/benchmarks/run.py $(BENCH)

clean:
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis
