"""Whether other interpreters compute the exported file as ours do: tflite-runtime on numpy 1, and TensorFlow's own.

`write` runs where LiteRT is installed, `check` in an environment with tflite-runtime and TensorFlow; both are
typed by `make compat`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from edge_mi.export.check_windows import GOLDEN_S, check_records, check_windows
from numpy.typing import NDArray

from edge_mi.bundle import TFLITE_INT8, Bundle
from edge_mi.detector import Detector
from edge_mi.golden import verify_golden
from edge_mi.runners.choose import open_runner
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of

SENSOR_HZ = 130


def main() -> int:
    """Write the expected outputs, or check those of the interpreters that are installed here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["write", "check"])
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    bundle = Bundle.load(shipped_bundle())
    windows = bundle.info.input.quantise(
        np.concatenate(check_windows(bundle.info.signal, bundle.info.net, GOLDEN_S))
    )
    if args.step == "write":
        np.savez(
            args.file,
            windows=windows,
            reference=_run(open_runner(bundle, "litert-ref").run, windows),
            fast=_run(open_runner(bundle, "litert").run, windows),
            decisions=np.array(_decisions(bundle, "litert-ref")),
        )
        return 0
    expected = np.load(args.file)
    if not np.array_equal(windows, expected["windows"]):
        print(f"numpy {np.__version__}: the signal chain gives other windows")
        return 1
    print(f"numpy {np.__version__}: the signal chain gives the same {windows.size:,} int8 samples")
    return max(_check_tflite_runtime(bundle, windows, expected), _check_tensorflow(bundle, windows, expected))


def _check_tflite_runtime(bundle: Bundle, windows: NDArray[np.int8], expected: Any) -> int:
    runner = open_runner(bundle)
    verify_golden(bundle, runner)
    code = _report(f"{runner.library}, reference kernels", _run(runner.run, windows), expected["reference"])
    same = _decisions(bundle, "auto") == expected["decisions"].tolist()
    print(f"{runner.library}: decisions of the stream are {'the same' if same else 'OTHERS'}")
    return code if same else 1


def _check_tensorflow(bundle: Bundle, windows: NDArray[np.int8], expected: Any) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf: Any = import_module("tensorflow")

    kinds = tf.lite.experimental.OpResolverType
    code = 0
    for kind, family in ((kinds.BUILTIN_REF, "reference"), (kinds.AUTO, "fast")):
        interpreter = tf.lite.Interpreter(
            model_content=bundle.content[TFLITE_INT8], experimental_op_resolver_type=kind, num_threads=1
        )
        interpreter.allocate_tensors()
        source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

        def run(
            window: NDArray[np.int8], at: Any = interpreter, first: Any = source, last: Any = result
        ) -> Any:
            at.set_tensor(first["index"], window.reshape(first["shape"]))
            at.invoke()
            return at.get_tensor(last["index"])[0]

        code = max(
            code,
            _report(f"tensorflow {version('tensorflow')}, {family}", _run(run, windows), expected[family]),
        )
    return code


def _run(run: Callable[[NDArray[np.int8]], NDArray[np.int8]], windows: NDArray[np.int8]) -> NDArray[np.int8]:
    return np.stack([np.array(run(window)) for window in windows])


def _decisions(bundle: Bundle, runner: str) -> list[str]:
    detector = Detector(bundle, runner)
    return [
        decision.to_json()
        for _, samples_mv in check_records(GOLDEN_S)[::4]
        for decision in detector.stream(chunks_of(samples_mv, SENSOR_HZ))
    ]


def _report(name: str, found: NDArray[np.int8], expected: NDArray[np.int8]) -> int:
    identical = float((found == expected).mean())
    print(f"{name}: {identical:.3%} of {found.size} values identical to LiteRT's")
    return 0 if identical == 1.0 else 1


if __name__ == "__main__":
    sys.exit(main())
