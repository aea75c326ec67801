"""Golden outputs: synthetic ECG with what each stage must give for it, per family; carried by the bundle."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import GOLDEN, Bundle
from edge_mi.chain.chain import filter_segment
from edge_mi.errors import BundleError, GoldenMismatch
from edge_mi.frame_ring import FrameRing
from edge_mi.runners.base import Runner
from edge_mi.samples import FloatArray
from edge_mi.signal_design import MV_BITS

KEYS = (
    "rate_hz",
    "signal_uv",
    "filtered_grid",
    "window_int8",
    "logits_fast",
    "logits_reference",
    "logits_float",
)


@dataclass(frozen=True, slots=True)
class Golden:
    """rate_hz: of the signal. signal_uv int16 (n, samples). filtered_grid int32 (n, m), units of 2^-14 mV.

    window_int8 (n, window): the input made of the last window. logits_fast, logits_reference int8 (n, K);
    logits_float float32 (n, K).
    """

    rate_hz: int
    signal_uv: NDArray[np.int16]
    filtered_grid: NDArray[np.int32]
    window_int8: NDArray[np.int8]
    logits_fast: NDArray[np.int8]
    logits_reference: NDArray[np.int8]
    logits_float: NDArray[np.float32]

    def to_bytes(self) -> bytes:
        """The .npz content; the same arrays give the same bytes.

        numpy's own writer leaves that to the version of Python, and compression to that of zlib.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for key in KEYS:
                array = io.BytesIO()
                np.lib.format.write_array(array, np.asarray(getattr(self, key)), (1, 0), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{key}.npy"), array.getvalue())
        return buffer.getvalue()


def read_golden(bundle: Bundle) -> Golden:
    """The golden arrays of a bundle. Raises BundleError where they are not what `Golden` says."""
    where = bundle.path / GOLDEN
    try:
        with np.load(io.BytesIO(bundle.content[GOLDEN]), allow_pickle=False) as arrays:
            values = {key: arrays[key] for key in KEYS}
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{where}: not golden outputs of schema {bundle.info.schema} ({exc})") from exc
    net, n = bundle.info.net, len(values["signal_uv"]) if values["signal_uv"].ndim else 0
    expected = {
        "rate_hz": ((), "iu"),
        "signal_uv": ((n, None), "i"),
        "filtered_grid": ((n, None), "i"),
        "window_int8": ((n, net.window_samples), "i"),
        "logits_fast": ((n, len(net.outputs)), "i"),
        "logits_reference": ((n, len(net.outputs)), "i"),
        "logits_float": ((n, len(net.outputs)), "f"),
    }
    for key, (shape, kinds) in expected.items():
        found = values[key]
        fits = found.ndim == len(shape) and all(
            e in (None, f) for e, f in zip(shape, found.shape, strict=True)
        )
        if n == 0 or not fits or found.dtype.kind not in kinds:
            raise BundleError(f"{where}: {key} is {found.dtype} {found.shape}; export the bundle again")
    return Golden(**{**values, "rate_hz": int(values["rate_hz"])})


def check_runner(bundle: Bundle, runner: Runner) -> None:
    """Replay what is cheap of the golden outputs, input and network, before a runner is trusted.

    Raises GoldenMismatch, BundleError for damaged arrays.
    """
    golden, info = read_golden(bundle), bundle.info
    for i, filtered in enumerate(golden.filtered_grid):
        _check_network(bundle, runner, golden, i, filtered[-info.net.window_samples :] / float(1 << MV_BITS))


def verify_golden(bundle: Bundle, runner: Runner) -> int:
    """Replay the golden inputs through chain, input and runner; the number of signals that were compared.

    Raises GoldenMismatch naming the first stage that differs, BundleError for damaged arrays.
    """
    golden, info = read_golden(bundle), bundle.info
    for i, signal_uv in enumerate(golden.signal_uv):
        filtered = filter_segment(info.signal, golden.rate_hz, signal_uv / 1000.0)
        if not np.array_equal(filtered * float(1 << MV_BITS), golden.filtered_grid[i]):
            raise GoldenMismatch(f"golden signal {i}: the signal chain gives other bits on this machine")
        _check_network(bundle, runner, golden, i, filtered[-info.net.window_samples :])
    return len(golden.signal_uv)


def _check_network(bundle: Bundle, runner: Runner, golden: Golden, i: int, window_mv: FloatArray) -> None:
    window = bundle.info.input.quantise(window_mv)
    if not np.array_equal(window, golden.window_int8[i]):
        raise GoldenMismatch(f"golden signal {i}: the int8 input has other bits than the bundle says")
    expected = golden.logits_fast if runner.family == "fast" else golden.logits_reference
    ring = FrameRing(bundle.info.net)
    for how, found in (
        ("whole window", runner.run(window)),
        ("front and head", ring.logits(runner, window, bundle.info.net.window_samples)),
    ):
        if not np.array_equal(found, expected[i]):
            raise GoldenMismatch(
                f"golden signal {i}, {how}: {runner.name} ({runner.library}) gives {found.tolist()}, "
                f"family {runner.family} is {expected[i].tolist()}"
            )
