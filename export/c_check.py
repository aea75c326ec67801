"""Whether the exported C code decides as the Python package does: on check records, whole and with gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_mi import synthetic
from edge_mi.bundle import Bundle
from edge_mi.decision import Decision
from edge_mi.detector import Detector
from edge_mi.errors import ExportDisagreement
from edge_mi.firmware import Firmware
from edge_mi.progress import Progress
from edge_mi.runners.litert import LiteRtRunner
from edge_mi.samples import Chunk, Gap, Item

from .c_model import CModel, Missing
from .check_windows import GOLDEN_S

Stream: TypeAlias = Sequence["NDArray[np.int16] | Missing"]


def check_firmware(bundle: Bundle, model: CModel) -> int:
    """Compare every decision of `model` with the detector's; how many there were.

    Raises ExportDisagreement naming the first one that differs.
    """
    firmware = model.firmware
    detector = Detector(bundle, LiteRtRunner(bundle, reference=firmware.family == "reference"))
    streams = list(_check_streams(firmware))
    compared = 0
    with Progress(len(streams), "comparing decisions of the C code") as progress:
        for i, stream in enumerate(streams):
            expected = expected_decisions(detector, firmware, stream)
            found = model.decisions(stream, model_id=bundle.model_id, chunk=firmware.rate_hz // 3 + i)
            for at, (ours, theirs) in enumerate(zip(found, expected, strict=False)):
                if ours != theirs:
                    raise ExportDisagreement(
                        f"C code, check stream {i}, decision {at}: {ours.to_json()}, the detector says {theirs.to_json()}; "
                        "no bundle was written"
                    )
            if len(found) != len(expected):
                raise ExportDisagreement(
                    f"C code, check stream {i}: {len(found)} decisions, the detector makes {len(expected)}; "
                    "no bundle was written"
                )
            compared += len(found)
            progress.advance()
    return compared


def expected_decisions(detector: Detector, firmware: Firmware, stream: Stream) -> list[Decision]:
    """The detector's decisions on a stream of codes; times on the tick of the C code, which rounds them less."""
    net = detector.bundle.info.net
    ticks_hz = int(np.lcm(firmware.rate_hz, net.rate_hz))
    decisions = [decision for item in _items(firmware, stream) for decision in detector.push(item)]
    decisions += detector.close()
    return [replace(d, t_s=round(round(d.t_s * ticks_hz) / ticks_hz, 6)) for d in decisions]


def codes_of(firmware: Firmware, signal_mv: NDArray[np.float64]) -> NDArray[np.int16]:
    """What the sensor's converter makes of millivolts float64 (n,): int16 (n,)."""
    codes = np.rint(signal_mv * float(firmware.codes_per_mv)) + firmware.baseline
    held: NDArray[np.int16] = np.clip(codes, -(1 << 15), (1 << 15) - 1).astype(np.int16)
    return held


def _items(firmware: Firmware, stream: Stream) -> Iterator[Item]:
    index = 0
    for part in stream:
        t_s = index / firmware.rate_hz
        if isinstance(part, Missing):
            yield Gap(t_s=t_s, n_samples=part.n_samples or None, cause="lost")
            index += part.n_samples
            continue
        samples_mv = (part.astype(np.float64) - firmware.baseline) / float(firmware.codes_per_mv)
        yield Chunk(t_s=t_s, samples_mv=samples_mv, rate_hz=firmware.rate_hz, index=index)
        index += len(part)


def _check_streams(firmware: Firmware) -> Iterator[Stream]:
    """Hearts of every territory, and what a wearer does to them: gaps, resets, loose, clipped and swapped electrodes."""
    rate_hz = firmware.rate_hz
    for i, territory in enumerate(synthetic.TERRITORIES):
        for bpm in (52.0, 96.0):
            ecg = synthetic.ecg(
                3 * GOLDEN_S, rate_hz=rate_hz, territory=territory, heart_rate_bpm=bpm, noise_mv=0.03, seed=i
            )
            signal_mv = ecg.lead("I")
            codes = codes_of(firmware, signal_mv)
            yield [codes]
            thirds = np.array_split(codes, 3)
            gap = Missing(int(rate_hz * (0.37 + i)))
            yield [
                thirds[0],
                gap,
                thirds[1],
                Missing(0),
                thirds[2][: 4 * rate_hz],
                Missing(50 * rate_hz),
                thirds[2],
            ]
            loose = signal_mv.copy()
            loose[5 * rate_hz : 12 * rate_hz] = loose[5 * rate_hz]
            loose[30 * rate_hz : 42 * rate_hz] *= 30.0
            yield [codes_of(firmware, np.clip(loose, -2.5, 2.5)), codes_of(firmware, loose)]
            if bpm > 60:
                swapped = codes_of(firmware, -signal_mv)
                yield [swapped[: 15 * rate_hz], gap, codes, Missing(0), swapped, codes[: 12 * rate_hz]]
