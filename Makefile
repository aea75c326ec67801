# Everything runs in virtual environments made here; only git, make and python3-venv are needed.
PYTHON ?= python3
CONSTRAINTS := constraints.txt
DEMO := .venv-demo
TEST := .venv-test
COMPAT := .venv-compat
PIP := -m pip --disable-pip-version-check -q

.PHONY: demo test compat model clean

demo: $(DEMO)/.done
	@$(DEMO)/bin/python -m edge_mi.benchmarks.demo

$(DEMO)/.done: pyproject.toml $(CONSTRAINTS)
	@echo "[1/2] making the environment (numpy, LiteRT, ONNX Runtime, bleak, bumble; no torch, no TensorFlow)"
	@$(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python $(PIP) install -c $(CONSTRAINTS) -e '.[tflite,onnx,ble,emulate,export]'
	@touch $@

test: $(TEST)/.done
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy edge_mi train export firmware_bridge benchmarks
	$(TEST)/bin/pytest

# torch by its pin first, before anything that asks for a range
$(TEST)/.done: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(TEST)
	$(TEST)/bin/python $(PIP) install torch==2.13.0
	$(TEST)/bin/python $(PIP) install -c $(CONSTRAINTS) -e '.[tflite,onnx,ble,emulate,export,train,dev]'
	@touch $@
