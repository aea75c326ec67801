# Everything runs in virtual environments made here; only git, make and python3-venv are needed.
PYTHON ?= python3
CONSTRAINTS := constraints.txt
DEMO := .venv-demo
TEST := .venv-test
COMPAT := .venv-compat
PIP := -m pip --disable-pip-version-check -q

RESULTS := benchmarks/results

.PHONY: demo python-fits test package compat arm mcu ble-vm model trials reproduction sizes quantisation noise converters figures soak fuzz bench-stream training-speed install-size clean

demo: $(DEMO)/.done
	@$(DEMO)/bin/python -m edge_mi.benchmarks.demo

# pip talks here: on a slow line its progress is all that a person sees
$(DEMO)/.done: pyproject.toml $(CONSTRAINTS) | python-fits
	@echo "making the environment $(DEMO) (numpy, LiteRT, ONNX Runtime, bleak, bumble; no torch, no TensorFlow)"
	@$(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python -m pip --disable-pip-version-check install -c $(CONSTRAINTS) -e '.[tflite,onnx,ble,emulate,export]'
	@touch $@

python-fits:
	@$(PYTHON) -c 'import sys; bits = 64 if sys.maxsize > 2**32 else 32; version = sys.version_info[:2]; \
	  fits = bits == 64 and (3, 11) <= version <= (3, 13); \
	  sys.exit(None if fits else f"EdgeMI needs a 64-bit Python 3.11 to 3.13, found {bits}-bit {version[0]}.{version[1]}: make PYTHON=python3.12 ...")'

test: $(TEST)/.done
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy edge_mi train export firmware_bridge benchmarks
	@$(TEST)/bin/python -m edge_mi.benchmarks.arm --prepare || echo "(so the comparison with aarch64 is skipped)"
	$(TEST)/bin/pytest -n 2 --dist loadfile

# torch by its pin first, before anything that asks for a range
$(TEST)/.done: pyproject.toml $(CONSTRAINTS) | python-fits
	$(PYTHON) -m venv $(TEST)
	$(TEST)/bin/python $(PIP) install torch==2.13.0
	$(TEST)/bin/python $(PIP) install -c $(CONSTRAINTS) -e '.[tflite,onnx,ble,emulate,export,sign,tflm,train,ray,dev]'
	@touch $@

# the tests against the built wheel, the built sdist, and at the end the checkout again
package: $(TEST)/.done
	rm -rf build dist
	$(TEST)/bin/python -m build --no-isolation
	@code=0; for built in dist/*.whl dist/*.tar.gz; do echo "== $$built"; \
	  $(TEST)/bin/python $(PIP) install --no-deps --no-build-isolation --force-reinstall $$built && \
	  PYTHONSAFEPATH=1 $(TEST)/bin/pytest -q || code=1; done; \
	$(TEST)/bin/python $(PIP) install --no-deps --no-build-isolation -e . && exit $$code

# the model that ships, from PTB-XL in $$EDGE_MI_DATA (default ../shared/data): about an hour on two cores
model: $(TEST)/.done
	$(TEST)/bin/edge-mi train quick --run runs/quick
	$(TEST)/bin/edge-mi train cv --scratch --seeds 6 --run runs/cv --out runs/cv.json
	$(TEST)/bin/python -m edge_mi.benchmarks.ship runs/quick/model.safetensors --store runs/quick/store-* \
	  --cross-validation runs/cv.json
	$(TEST)/bin/python -m edge_mi.benchmarks.int8_cross --run runs/cv --data runs/cv/store-*
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# what else was tried, after `make model`, whose teachers it takes up: about an hour
trials: $(TEST)/.done
	$(TEST)/bin/python -m edge_mi.benchmarks.trials --run runs/cv --data runs/cv/store-*
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# SelfMIS and its rivals: about two hours; goes on after a kill
reproduction: $(TEST)/.done
	rm -rf runs/report
	$(TEST)/bin/edge-mi train reproduce examples/reproduce.toml --run runs/reproduce --out runs/report
	@mkdir -p docs/reproduction
	cp runs/report/results.json runs/report/table.md runs/report/*.svg docs/reproduction/
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# PatchNet in its sizes, without alignment, after `make model`, whose teachers and store it takes up
sizes: $(TEST)/.done
	@mkdir -p runs/sizes
	@set -e; for size in 15k 50k 67k 100k; do \
	  $(TEST)/bin/edge-mi train quick --no-align --size $$size --run runs/quick --out runs/sizes/$$size.safetensors; \
	  against="--against 67k"; test $$size != 67k || against=; \
	  $(TEST)/bin/edge-mi train cv --no-align --size $$size $$against --run runs/cv --out runs/sizes/$$size-cv.json; done
	$(TEST)/bin/python -m edge_mi.benchmarks.sizes runs/sizes runs/quick/store-*
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# ways to choose ranges, and training in int8, on a network that saw neither fold 8 nor 9: about 12 minutes
quantisation: $(TEST)/.done
	test -d runs/store || $(TEST)/bin/edge-mi data build ptbxl --out runs/store
	$(TEST)/bin/edge-mi train quick --folds 1-7 --test-fold 8 --run runs/folds-1-7 --data runs/store
	$(TEST)/bin/python -m edge_mi.benchmarks.ranges runs/folds-1-7/model.safetensors --data runs/store
	$(TEST)/bin/python -m edge_mi.benchmarks.qat runs/folds-1-7/model.safetensors --run runs/folds-1-7 --data runs/store
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# noise and long streams, after `make model` (its teachers and store): the model with and without a simulated patch,
# neither of which saw fold 9; about 6 minutes
noise: $(TEST)/.done
	@mkdir -p runs/noise
	$(TEST)/bin/edge-mi train quick --run runs/quick --out runs/noise/plain.safetensors
	$(TEST)/bin/edge-mi train quick --device-simulation --run runs/quick --out runs/noise/device.safetensors
	$(TEST)/bin/python -m edge_mi.benchmarks.noise plain=runs/noise/plain.safetensors device=runs/noise/device.safetensors
	$(TEST)/bin/python -m edge_mi.benchmarks.spliced plain=runs/noise/plain.safetensors device=runs/noise/device.safetensors
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# what the docs say of this machine
figures: $(TEST)/.done
	$(TEST)/bin/edge-mi bench --json > $(RESULTS)/latency.json
	$(MAKE) -s bench-stream > $(RESULTS)/stream.json
	$(TEST)/bin/python -m edge_mi.benchmarks.sensor_clock > $(RESULTS)/sensor_clock.json
	$(MAKE) -s install-size > $(RESULTS)/install_size.json
	$(TEST)/bin/python -m edge_mi.benchmarks.startup > $(RESULTS)/startup.json
	$(MAKE) -s training-speed > $(RESULTS)/training_speed.json
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# Python 3.11 or older, for which tflite-runtime exists; numpy 1, and TensorFlow as an independent reader (2 GB)
compat: $(COMPAT)/.done $(TEST)/.done
	$(TEST)/bin/python -m edge_mi.benchmarks.compat write $(COMPAT)/expected.npz
	$(COMPAT)/bin/python -m edge_mi.benchmarks.compat check $(COMPAT)/expected.npz

$(COMPAT)/.done: pyproject.toml | python-fits
	$(PYTHON) -m venv $(COMPAT)
	$(COMPAT)/bin/python $(PIP) install 'numpy==1.26.4' tflite-runtime==2.14.0 tensorflow==2.21.0 -e .
	@touch $@

# the same bytes on an emulated Raspberry Pi; Debian's packages are unpacked into .arm, which needs no root
arm: $(TEST)/.done
	$(TEST)/bin/python -m edge_mi.benchmarks.arm --out $(RESULTS)/arm.json
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# the C code on emulated Cortex-M processors; needs gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm
mcu: $(TEST)/.done
	$(TEST)/bin/python -m edge_mi.benchmarks.mcu --out $(RESULTS)/mcu.json
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# the Bluetooth code against the emulator on a real BlueZ in a virtual machine, which needs qemu-system-x86; Debian's or
# Ubuntu's packages are unpacked into .ble-vm, without root: about 12 minutes where there is no KVM
ble-vm: $(TEST)/.done
	$(TEST)/bin/python -m edge_mi.benchmarks.bluez_vm --out $(RESULTS)/ble_vm.json
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# the same network through other converters, after `make model` (its store): builds 8 GB of environments in .converters/
STORE = $(firstword $(wildcard runs/quick/store-*))
converters: $(TEST)/.done
	$(TEST)/bin/python -m edge_mi.benchmarks.converters $(if $(STORE),--data $(STORE))
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# a day of emulated patches with a fault a minute: about half an hour
soak: $(TEST)/.done
	$(TEST)/bin/python -m edge_mi.benchmarks.soak > $(RESULTS)/soak.json
	$(TEST)/bin/python -m edge_mi.benchmarks.documents

# a million inputs through every decoder of bytes from the air, a tenth of that through whole streams, guided by branches
fuzz: $(TEST)/.done
	$(TEST)/bin/python -m pip --disable-pip-version-check -q install -c $(CONSTRAINTS) atheris
	$(TEST)/bin/python tests/fuzz/decoders.py

bench-stream: $(TEST)/.done
	@$(TEST)/bin/python -m edge_mi.benchmarks.throughput

# windows a second in training, and the share of time lost to loading: about a minute
training-speed: $(TEST)/.done
	@$(TEST)/bin/python -m edge_mi.benchmarks.training_speed

install-size: $(TEST)/.done
	@$(TEST)/bin/python -m edge_mi.benchmarks.install_size

clean:
	rm -rf $(DEMO) $(TEST) $(COMPAT) .arm .ble-vm .converters build dist *.egg-info
