# make demo · make test · make lint · make bench. See README.md.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
FLOORS := .venv-floors/bin
READY := .venv/.ready
PEERS ?= .venv-peers

.PHONY: help demo test test-gpu test-floors lint format bench lock sbom clean

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 13

demo: $(READY) ## Make a synthetic study, segment it, say where the results are
	@$(BIN)/braintumorseg sample demo/study
	@$(BIN)/braintumorseg segment --flair demo/study/flair.nii.gz --t1 demo/study/t1.nii.gz \
	  --t1c demo/study/t1c.nii.gz --output demo/tumour.seg.nrrd --probability demo/probability.nrrd \
	  --report demo/report.json --preview demo/preview.png

# In the files' own order. Else those with the most tests come first and the longest, which have few, last: then one core
# waits for the other.
test: $(READY) ## The whole test suite
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-gpu: $(READY) ## What needs a CUDA GPU, on one
	@$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else f"torch {torch.__version__} sees no CUDA GPU here; docs/developer_guide.md, Commands, says what it takes.")'
	@$(BIN)/python -m pytest tests/engine tests/e2e -m gpu

# uv resolves for an Intel Mac, whose floors are the lowest. On Linux PyPI's torch 2.2.2 brings its CUDA libraries along, and
# the doctor rightly says that it does not fit there.
test-floors: $(READY) ## The engine's tests and result with the oldest packages that work (downloads 2.5 GB on Linux)
	@test -x $(FLOORS)/python || $(PYTHON) -m venv .venv-floors
	@$(BIN)/uv pip compile pyproject.toml --resolution lowest-direct --python-platform x86_64-apple-darwin --quiet \
	  --python-version "$$($(FLOORS)/python -c 'import platform; print(platform.python_version())')" --output-file .venv-floors/floors.txt
	@$(FLOORS)/python -m pip install -qq --disable-pip-version-check -r .venv-floors/floors.txt \
	  distributed jsonschema pypdfium2 pytest pytest-timeout "PySide6-Essentials<6.12" "slicer-core==5.13.*"
	@$(FLOORS)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@$(FLOORS)/python -m pytest tests/engine tests/client tests/jobs \
	  --deselect tests/engine/service/test_doctor.py::test_a_machine_that_can_do_everything_has_no_problem
	@$(BIN)/python benchmarks/versions.py $(FLOORS)/python

lint: $(READY) ## Formatting, lint and types, changing nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(READY) ## Format the code and correct what ruff can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY) $(PEERS:%=%/.ready) ## Time and memory beside floors and other programs, into docs/performance.md
	@$(BIN)/python benchmarks/bench.py $(PEERS:%=--peers %/bin/python) --page docs/performance.md

# The other programs in an environment of their own, which sees .venv's packages: all run on the very same PyTorch.
# `make bench PEERS=` leaves them out.
.venv-peers/.ready: benchmarks/requirements-peers.txt $(READY)
	@test -x .venv-peers/bin/python || $(BIN)/python -m venv .venv-peers
	@.venv-peers/bin/python -c 'import site, sys; open(site.getsitepackages()[0] + "/product.pth", "w").write(f"import site; site.addsitedir({sys.argv[1]!r})")' \
	  "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')"
	@echo "Installing the programs to compare with into .venv-peers"
	@$(BIN)/python -m pip freeze --exclude-editable >.venv-peers/product.txt
	@.venv-peers/bin/python -m pip install -qq --disable-pip-version-check -r benchmarks/requirements-peers.txt -c .venv-peers/product.txt
	@.venv-peers/bin/python -c 'import nnunetv2, onnxruntime, openvino'
	@touch $@

# Rebuilt only when the locks or the project's metadata change. --no-deps: the locks are complete, nothing else gets in.
$(READY): requirements.lock requirements-torch.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Python {v[0]}.{v[1]} is too old: 3.11 or newer is needed. Run make PYTHON=/path/to/python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the locked dependencies into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements-torch.lock || { echo "On Linux torch's CPU build is needed, from PyTorch's own index: run PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make $(MAKECMDGOALS)." >&2; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import torch' || { echo "torch does not load on this machine." >&2; exit 1; }
	@touch $@

lock: $(READY) ## Write requirements.lock again from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-emit-package torch --custom-compile-command "make lock" --upgrade --quiet --output-file requirements.lock

clean: ## Remove the environment and the demo's files
	@rm -rf .venv .venv-floors .venv-peers demo

sbom: $(READY) ## Write sbom.cdx.json, the bill of materials of .venv, and docs/licences.md
	@$(BIN)/python tools/licences.py
	@$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml \
	  --output-file sbom.cdx.json
