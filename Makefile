# Every target sets itself up: Python 3.11 is all it needs.
PYTHON ?= python3.11
BIN := .venv/bin
export MYONORM_HOME ?= $(CURDIR)/data

.PHONY: demo test test-pipeline test-rest test-training faults faults-long lint update plan rebuild doctor verify accept annotate dashboard dagster bench train-phantom export test-duckdb2 norms-report train correct test-browser screenshots

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch .venv/ready

demo: .venv/ready
	$(BIN)/python -m dagster_project.demo

# Two halves side by side: tests of whole updates wait for processes and disks much of the time.
test: lint
	OMP_NUM_THREADS=1 $(MAKE) --no-print-directory --jobs=2 test-pipeline test-rest

test-pipeline: .venv/ready
	$(BIN)/python -m pytest --quiet --durations=5 tests/pipeline tests/faults

test-rest: .venv/ready
	$(BIN)/python -m pytest --quiet --durations=5 --ignore=tests/pipeline --ignore=tests/faults

# From annotated cases to a model through the assets; minutes.
test-training: .venv/ready
	$(BIN)/python -m pytest --quiet --durations=5 -m training

# Long: kills of drivers, nodes, workers and runs (15, or 50), full disks, damage.
faults faults-long: .venv/ready
	MYONORM_KILLS=$(if $(filter faults-long,$@),50,15) $(BIN)/python -m pytest --quiet --durations=5 -m faults

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

update: .venv/ready
	$(BIN)/python -m dagster_project.update $(if $(RELEASE),$(RELEASE),--all) \
		$(if $(PARTICIPANTS),--participants $(PARTICIPANTS)) $(if $(RETRY_FAILED),--retry-failed)

# The warehouse anew from releases and derivatives, without running the network.
rebuild: .venv/ready
	$(BIN)/python -m dagster_project.rebuild

# Is the installation well? And: is every file what was written (reads all of them)?
doctor verify: .venv/ready
	$(BIN)/python -m dagster_project.doctor $(if $(filter verify,$@),--all)

# Publish a release although its completeness or drift fails: RELEASE=<name> REASON="..."
accept: .venv/ready
	$(BIN)/python -m dagster_project.accept "$(RELEASE)" "$(REASON)"

# What an update would do, and how long it would take.
plan: .venv/ready
	$(BIN)/python -m dagster_project.plan $(RELEASE)

annotate: .venv/ready
	$(BIN)/python -m dagster_project.annotate $(N) --seed $(SEED) $(if $(STUDY),--study "$(STUDY)") $(if $(STRATIFIED),--stratified)

# Long; given again it continues where it was stopped.
train: .venv/ready
	$(BIN)/python -m dagster_project.train "$(MODEL)" $(if $(PROFILE),--profile $(PROFILE)) $(if $(STUDY),--study "$(STUDY)")

# A case as a package for 3D Slicer: CASE=<study>/<participant>/<visit>. The next update takes the corrected mask back.
correct: .venv/ready
	$(BIN)/python -m dagster_project.correction "$(CASE)"

dashboard: .venv/ready
	$(BIN)/streamlit run dashboard/app.py

dagster: .venv/ready
	mkdir -p "$(MYONORM_HOME)/dagster" && cp dagster.yaml "$(MYONORM_HOME)/dagster/"
	DAGSTER_HOME="$$(realpath "$(MYONORM_HOME)/dagster")" $(BIN)/dagster dev --workspace workspace.yaml --host 127.0.0.1

# Long; continues from its last checkpoint. PROFILE=phantom-base trains what the phantom model starts from.
train-phantom: PROFILE := $(or $(PROFILE),phantom)
train-phantom: .venv/ready
	$(BIN)/python -m models.segmentation.training $(PROFILE) "$(MYONORM_HOME)/training/$(PROFILE)" "$(MYONORM_HOME)/models/$(PROFILE)-retrained"

# A table of the current snapshot as CSV and Parquet, with dictionary and citation, into ./export.
export: .venv/ready
	$(BIN)/python -m dagster_project.export "$(TABLE)" $(if $(RESEARCH),--research)

# How well the norms fit, as one page: worm plots, coverage, Q statistics; into ./export/norms.html.
norms-report: .venv/ready
	$(BIN)/python -m dagster_project.norms_report

# The examples on files of either version, in a virtual environment of its own.
test-duckdb2: .venv/ready
	test -x .venv-duckdb2/bin/python || $(PYTHON) -m venv .venv-duckdb2
	.venv-duckdb2/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.0
	MYONORM_OTHER_DUCKDB=.venv-duckdb2/bin/python $(BIN)/python -m pytest --quiet tests/warehouse/test_examples.py

# Long journeys in Debian's Chromium, and axe-core from the npm registry.
test-browser: .venv/ready
	test -f node_modules/axe-core/axe.min.js || npm install --no-save --no-audit --no-fund --no-package-lock axe-core@4
	$(BIN)/python -m pytest --quiet -m browser tests/dashboard

# Every page in light, dark, German and at phone width, into docs/images.
screenshots: .venv/ready
	$(BIN)/python -m tests.dashboard.screenshots docs/images

# One figure, or all: each prints lines of JSON, kept in benchmarks/results.jsonl. Wants an idle machine.
bench: .venv/ready
	for figure in $(or $(FIGURE),$(basename $(notdir $(filter-out %__init__.py %/full_cohort.py %/simulated_workers.py %/results.py,$(wildcard benchmarks/*.py))))); do \
		$(BIN)/python -m benchmarks.results $$figure || exit 1; done
