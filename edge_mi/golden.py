"""Golden outputs: synthetic ECG with what each stage must give for it, per family; carried by the bundle.

A device replays them with the runner that it has. Each stage is fed with the golden output of the one before, so
the first stage that differs is the one that is wrong.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi.bundle import GOLDEN, Bundle
from edge_mi.chain.chain import filter_segment
from edge_mi.errors import BundleError, GoldenMismatch
from edge_mi.frame_ring import FrameRing, mean_of_frames
from edge_mi.netspec import NetSpec
from edge_mi.runners.base import Family, Int8Array, Runner
from edge_mi.signal_design import MV_BITS
from edge_mi.window import RollingWindow

GoldenDetail: TypeAlias = Literal["stages", "full"]
Match: TypeAlias = Literal["both", "fast", "reference", "neither"]

FAMILIES: Final[tuple[Family, ...]] = ("fast", "reference")
KEYS: Final = (
    "rate_hz", "signal_uv", "filtered_grid", "window_grid", "window_int8", "embedding_fast", "embedding_reference",
    "logits_fast", "logits_reference", "logits_float",
)  # fmt: skip
# what a runner can be seen to give, in the order of the path; `frames` is in a full file only
STAGES: Final = {
    "filter": "the signal chain",
    "window": "the rolling window",
    "input": "the int8 input",
    "frames": "the frames of the front graph",
    "embedding": "the mean of the front graph's frames",
    "logits": "the logits of front and head",
    "logits_whole_window": "the logits of the whole-window graph",
}
_GRID: Final = float(1 << MV_BITS)
_SHOWN_VALUES: Final = 8


@dataclass(frozen=True, slots=True)
class Golden:
    """n signals and what the stages make of them.

    rate_hz: of the signals. signal_uv int16 (n, samples). filtered_grid int32 (n, m) and window_grid int32
    (n, window), units of 2^-14 mV: the whole filtered signal, and its last window that is due. window_int8
    (n, window): the input made of that. embedding_* int8 (n, features): its frames' mean. logits_* int8 (n, K);
    logits_float float32 (n, K). layers: in a full file, `<convolution>_<family>` int8 (n, time, channels).
    """

    rate_hz: int
    signal_uv: NDArray[np.int16]
    filtered_grid: NDArray[np.int32]
    window_grid: NDArray[np.int32]
    window_int8: NDArray[np.int8]
    embedding_fast: NDArray[np.int8]
    embedding_reference: NDArray[np.int8]
    logits_fast: NDArray[np.int8]
    logits_reference: NDArray[np.int8]
    logits_float: NDArray[np.float32]
    layers: dict[str, NDArray[np.int8]] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The .npz content; the same arrays give the same bytes.

        numpy's own writer leaves that to the version of Python, and compression to that of zlib.
        """
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {**{key: getattr(self, key) for key in KEYS}, **self.layers}
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for key, values in arrays.items():
                array = io.BytesIO()
                np.lib.format.write_array(array, np.asarray(values), (1, 0), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{key}.npy"), array.getvalue())
        return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class GoldenMatch:
    """How a runner's values compare with the golden outputs of the families, over all signals.

    matched: the family whose every value was given; `both` where the two are equal throughout. stages: the same
    for each of `STAGES` that was seen. mismatch: one line on the first stage in which the runner does not give
    the values of its own family; None where it gives them all.
    """

    matched: Match
    stages: dict[str, Match]
    signals: int
    mismatch: str | None


def layer_keys(net: NetSpec) -> dict[str, tuple[int, int]]:
    """Names and shapes (time, channels) of the arrays that only a full file has."""
    return {
        f"{conv.name}_{family}": (length, conv.out_channels)
        for family in FAMILIES
        for conv, length in zip(net.convs, net.lengths, strict=True)
    }


def read_golden(bundle: Bundle) -> Golden:
    """The golden arrays of a bundle. Raises BundleError where they are not what `Golden` says."""
    where, info = bundle.path / GOLDEN, bundle.info
    try:
        with np.load(io.BytesIO(bundle.content[GOLDEN]), allow_pickle=False) as arrays:
            values = {key: arrays[key] for key in arrays.files}
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile, SyntaxError) as exc:
        raise BundleError(f"{where}: not golden outputs of schema {info.schema} ({exc})") from exc
    layers = layer_keys(info.net)
    names = {*KEYS} if {*values} <= {*KEYS} else {*KEYS, *layers}
    if {*values} != names:
        wrong = ", ".join(sorted({*values} ^ names))
        raise BundleError(
            f"{where}: not golden outputs of schema {info.schema} (missing or unknown: {wrong})"
        )
    net, n = info.net, len(values["signal_uv"]) if values["signal_uv"].ndim else 0
    outputs = len(net.outputs)
    expected: dict[str, tuple[tuple[int | None, ...], type[np.generic]]] = {
        "rate_hz": ((), np.int64),
        "signal_uv": ((n, None), np.int16),
        "filtered_grid": ((n, None), np.int32),
        "window_grid": ((n, net.window_samples), np.int32),
        "window_int8": ((n, net.window_samples), np.int8),
        **{f"embedding_{family}": ((n, net.features), np.int8) for family in FAMILIES},
        **{f"logits_{family}": ((n, outputs), np.int8) for family in FAMILIES},
        "logits_float": ((n, outputs), np.float32),
        **{key: ((n, *shape), np.int8) for key, shape in layers.items() if key in names},
    }
    for key, (shape, kind) in expected.items():
        found = values[key]
        fits = found.ndim == len(shape) and all(
            e in (None, f) for e, f in zip(shape, found.shape, strict=True)
        )
        if n == 0 or not fits or found.dtype != kind:
            raise BundleError(f"{where}: {key} is {found.dtype} {found.shape}; export the bundle again")
    rate_hz = int(values["rate_hz"])
    samples, filtered = values["signal_uv"].shape[1], values["filtered_grid"].shape[1]
    listed = rate_hz in info.signal.supported_rates_hz()
    if not listed or samples < rate_hz * net.window_s or filtered < net.window_samples:
        raise BundleError(
            f"{where}: signals of {samples} samples at {rate_hz} Hz, filtered {filtered}, hold no window of "
            f"{net.window_s:g} s at a listed rate; export the bundle again"
        )
    return Golden(
        **{key: values[key] for key in KEYS if key != "rate_hz"},
        rate_hz=rate_hz,
        layers={key: values[key] for key in layers if key in names},
    )


def check_runner(bundle: Bundle, runner: Runner) -> None:
    """Replay what is cheap of the golden outputs, input and network, before a runner is trusted.

    Raises GoldenMismatch, BundleError for damaged arrays.
    """
    golden = read_golden(bundle)
    _demand(_match(runner, len(golden.signal_uv), _network_values(bundle, runner, golden)))


def match_golden(bundle: Bundle, runner: Runner) -> GoldenMatch:
    """Replay the golden inputs, each stage by itself, and say whose values the runner gives.

    Raises BundleError for damaged arrays.
    """
    golden = read_golden(bundle)
    return _match(runner, len(golden.signal_uv), _values(bundle, runner, golden))


def verify_golden(bundle: Bundle, runner: Runner) -> GoldenMatch:
    """As `match_golden`, and refuse a runner that does not give the values of its own family.

    Raises GoldenMismatch naming the first stage that differs, BundleError for damaged arrays.
    """
    return _demand(match_golden(bundle, runner))


def _demand(match: GoldenMatch) -> GoldenMatch:
    if match.mismatch is not None:
        raise GoldenMismatch(match.mismatch)
    return match


# stage, signal, what is found, and what each family says
_Value: TypeAlias = tuple[str, int, NDArray[Any], dict[Family, NDArray[Any]]]


def _match(runner: Runner, signals: int, values: Iterator[_Value]) -> GoldenMatch:
    by_stage: dict[str, set[Family]] = {}
    differ: dict[str, str] = {}
    for stage, signal, found, golden in values:
        given = {family for family in FAMILIES if np.array_equal(found, golden[family])}
        by_stage[stage] = by_stage.get(stage, {*FAMILIES}) & given
        if runner.family not in given and stage not in differ:
            own = golden[runner.family]
            shown = f": {found.tolist()} instead of {own.tolist()}" if found.size <= _SHOWN_VALUES else ""
            differ[stage] = f"first differs in {STAGES[stage]}, golden signal {signal}{shown}"
    matched = _name(set.intersection(*by_stage.values()))
    what = "neither family" if matched == "neither" else f"family {matched}"
    first = next((differ[stage] for stage in STAGES if stage in differ), None)
    return GoldenMatch(
        matched,
        {stage: _name(by_stage[stage]) for stage in STAGES if stage in by_stage},
        signals,
        first
        and f"{runner.name} ({runner.library}), family {runner.family}, gives the values of {what}; it {first}",
    )


def _name(families: set[Family]) -> Match:
    return "both" if len(families) == 2 else next(iter(families), "neither")


def _values(bundle: Bundle, runner: Runner, golden: Golden) -> Iterator[_Value]:
    design, net = bundle.info.signal, bundle.info.net
    for i, signal_uv in enumerate(golden.signal_uv):
        filtered = filter_segment(design, golden.rate_hz, signal_uv / 1000.0)
        yield "filter", i, filtered * _GRID, dict.fromkeys(FAMILIES, golden.filtered_grid[i])
        due = RollingWindow(net.window_samples, net.hop_samples).push(golden.filtered_grid[i] / _GRID)
        window = due[-1][1]
        assert window is not None  # read_golden has counted the samples
        yield "window", i, window * _GRID, dict.fromkeys(FAMILIES, golden.window_grid[i])
    yield from _network_values(bundle, runner, golden)


def _network_values(bundle: Bundle, runner: Runner, golden: Golden) -> Iterator[_Value]:
    net = bundle.info.net
    for i, window_grid in enumerate(golden.window_grid):
        codes = bundle.info.input.quantise(window_grid / _GRID)
        yield "input", i, codes, dict.fromkeys(FAMILIES, golden.window_int8[i])
        window, ring = golden.window_int8[i], FrameRing(net)
        logits = ring.logits(runner, window, net.window_samples)
        frames = ring.frames
        if golden.layers:
            last = net.convs[-1].name
            yield "frames", i, frames, {f: golden.layers[f"{last}_{f}"][i] for f in FAMILIES}
        embeddings: dict[Family, Int8Array] = {
            "fast": golden.embedding_fast[i],
            "reference": golden.embedding_reference[i],
        }
        yield "embedding", i, mean_of_frames(frames), embeddings
        expected: dict[Family, Int8Array] = {
            "fast": golden.logits_fast[i],
            "reference": golden.logits_reference[i],
        }
        yield "logits", i, logits, expected
        yield "logits_whole_window", i, np.array(runner.run(window)), expected
