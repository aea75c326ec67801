"""Latency of every runner and of every stage of the stream, interleaved in one run."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from edge_mi.firmware_bridge.polar_pmd import decode_ecg_frame, encode_ecg_frame

from edge_mi import synthetic
from edge_mi.alarm import AlarmLatch
from edge_mi.bundle import Bundle
from edge_mi.chain.chain import SignalChain
from edge_mi.detector import Detector
from edge_mi.frame_ring import FrameRing
from edge_mi.netspec import NetSpec
from edge_mi.progress import Progress
from edge_mi.quality import assess
from edge_mi.runners.base import Runner
from edge_mi.runners.choose import available_runners, open_runner
from edge_mi.runners.ort import OrtFloatRunner
from edge_mi.sources import chunks_of
from edge_mi.window import RollingWindow

from .machine import describe_machine

SCHEMA = 1
SENSOR_HZ = 130
FRAME_SAMPLES = 73
ROUNDS = 1000
PIPELINE_S = 120
_WARM_UP = 50
STAGES = ("decode", "filter", "window", "inference", "decision")


def measure(bundle: Bundle, *, rounds: int = ROUNDS, seconds: float = PIPELINE_S) -> dict[str, Any]:
    """The benchmark document of contract C6; times in microseconds."""
    open_runner(bundle)  # says what to install where there is no runner at all
    runners = _runner_latency(bundle, rounds)
    pipeline = _pipeline(bundle, seconds)
    return {
        "schema": SCHEMA,
        "machine": describe_machine(),
        "versions": _versions(),
        "model_id": bundle.model_id,
        "macs_window": bundle.info.net.macs_window,
        "macs_hop": bundle.info.net.macs_hop,
        "runners": runners,
        "pipeline_us": {stage: _statistics(times) for stage, times in pipeline.items()},
        "realtime_factor": _realtime_factor(bundle, seconds),
        "rss_mb": round(_peak_rss_mb(), 1),
    }


def _runner_latency(bundle: Bundle, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    info = bundle.info
    windows_mv = rng.normal(scale=0.3, size=(16, info.net.window_samples))
    windows = info.input.quantise(windows_mv)
    net = info.net
    calls: dict[str, dict[str, Callable[[int], Any]]] = {}
    for name in available_runners():
        runner = open_runner(bundle, name)
        calls[name] = {"window_us": _whole(runner, windows), "hop_us": _hop(runner, net, windows)}
    if "ort" in calls:
        reference = OrtFloatRunner(bundle)
        floats = windows_mv.astype(np.float32)
        calls["ort-fp32"] = {"window_us": lambda i: reference.run(floats[i % len(floats)])}
    times: dict[str, dict[str, list[float]]] = {
        name: {key: [] for key in ways} for name, ways in calls.items()
    }
    with Progress(rounds, "timing runners") as progress:
        for i in range(rounds + _WARM_UP):
            for name, ways in calls.items():
                for key, call in ways.items():
                    start = time.perf_counter_ns()
                    call(i)
                    elapsed = time.perf_counter_ns() - start
                    if i >= _WARM_UP:
                        times[name][key].append(elapsed / 1000)
            if i >= _WARM_UP:
                progress.advance(1)
    return {
        name: {key: _statistics(ways[key]) if key in ways else None for key in ("window_us", "hop_us")}
        for name, ways in times.items()
    }


def _whole(runner: Runner, windows: Any) -> Callable[[int], Any]:
    return lambda i: runner.run(windows[i % len(windows)])


def _hop(runner: Runner, net: NetSpec, windows: Any) -> Callable[[int], Any]:
    """The new frames of one hop and the head, as the detector computes them."""
    ring = FrameRing(net)
    return lambda i: ring.logits(runner, windows[i % len(windows)], (i + 1) * net.hop_samples)


def _pipeline(bundle: Bundle, seconds: float) -> dict[str, list[float]]:
    """Time of each stage for one hop of signal, as a stream from a 130 Hz patch makes it."""
    info = bundle.info
    lead = synthetic.ecg(seconds, rate_hz=SENSOR_HZ, seed=1).lead("I")
    microvolts = np.rint(lead * 1000).astype(np.int64)
    frames = [
        encode_ecg_frame(0, microvolts[i : i + FRAME_SAMPLES])
        for i in range(0, len(microvolts) - FRAME_SAMPLES + 1, FRAME_SAMPLES)
    ]
    chain, rolling = (
        SignalChain(info.signal, SENSOR_HZ),
        RollingWindow(info.net.window_samples, info.net.hop_samples),
    )
    runner, latch, point = open_runner(bundle), AlarmLatch(info.alarm), bundle.operating_point()
    ring = FrameRing(info.net)
    raw = np.zeros(0)
    raw_samples = info.net.window_samples * SENSOR_HZ // info.net.rate_hz
    spent = dict.fromkeys(STAGES, 0)
    times: dict[str, list[float]] = {stage: [] for stage in (*STAGES, "total")}
    clock = time.perf_counter_ns
    for frame in frames:
        marks = [clock()]
        samples_mv = np.asarray(decode_ecg_frame(frame).codes) / 1000.0
        marks.append(clock())
        filtered = chain.push(samples_mv)
        marks.append(clock())
        due = rolling.push(filtered)
        marks.append(clock())
        for stage, start, stop in zip(STAGES, marks, marks[1:], strict=False):
            spent[stage] += stop - start
        raw = np.concatenate([raw, samples_mv])[-2 * raw_samples :]
        for position, window in due:
            if window is None:
                spent = dict.fromkeys(STAGES, 0)
                continue
            start = clock()
            quantised = info.input.quantise(window)
            ready = clock()
            output = ring.logits(runner, quantised, position)
            done = clock()
            quality = assess(raw[-raw_samples:], SENSOR_HZ, window, info.net.rate_hz, info.quality)
            probability = bundle.probability(bundle.logit(int(output[0])))
            if quality.reason is None:
                latch.step(position / info.net.rate_hz, probability >= point.threshold)
            stop = clock()
            spent["window"] += ready - start
            spent["inference"] += done - ready
            spent["decision"] += stop - done
            for stage in STAGES:
                times[stage].append(spent[stage] / 1000)
            times["total"].append(sum(spent.values()) / 1000)
            spent = dict.fromkeys(STAGES, 0)
    return times


def _realtime_factor(bundle: Bundle, seconds: float) -> float:
    """Seconds of 130 Hz signal that the whole detector takes in one second of one core."""
    lead = synthetic.ecg(seconds, rate_hz=SENSOR_HZ, seed=1).lead("I")
    chunks = list(chunks_of(lead, SENSOR_HZ, chunk_samples=FRAME_SAMPLES))
    detector = Detector(bundle)
    list(detector.stream(chunks))
    start = time.process_time()
    list(detector.stream(chunks))
    return round(seconds / (time.process_time() - start), 1)


def _statistics(values: list[float]) -> dict[str, float]:
    p50, p90, p99, p999 = np.percentile(values, [50, 90, 99, 99.9])
    numbers = {"p50": p50, "p90": p90, "p99": p99, "p999": p999, "max": max(values)}
    return {**{key: round(float(value), 1) for key, value in numbers.items()}, "n": len(values)}


def _versions() -> dict[str, str]:
    found = {}
    for package in ("edge-mi", "numpy", "ai-edge-litert", "tflite-runtime", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 1024**2
