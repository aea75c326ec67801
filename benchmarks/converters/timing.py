"""Latency of many files in one run, each call in turn, so that what else the machine does meets them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.progress import Progress

from .model_file import Call

PROCESSES: Final = 20
ROUNDS: Final = 200
RESAMPLES: Final = 1000
_WARM_UP: Final = 30


def interleaved(
    openers: Mapping[str, Callable[[], Call]],
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, float]:
    """Median microseconds of each, opened once.

    They are opened in an order that is drawn, since the first gets other memory than the last, and in every round each
    is called once, in an order drawn anew, since what ran before has filled the caches.
    """
    rng = np.random.default_rng(seed)
    names = list(openers)
    calls = [(names[i], openers[names[i]]()) for i in rng.permutation(len(names))]
    spent: dict[str, list[int]] = {name: [] for name in openers}
    for turn in range(rounds + _WARM_UP):
        for i in rng.permutation(len(calls)):
            name, call = calls[i]
            start = clock()
            call()
            elapsed = clock() - start
            if turn >= _WARM_UP:
                spent[name].append(elapsed)
    return {name: float(np.median(times)) / 1000 for name, times in spent.items()}


def in_fresh_processes(
    measure: Callable[[int], dict[str, float]], processes: int = PROCESSES
) -> dict[str, NDArray[np.float64]]:
    """What `measure` gives for the seeds 0, 1, ..., each in a process of its own, float64 (processes,).

    Where memory lies changes a latency by more than a process's own scatter shows. `measure` must be picklable.
    """
    found: list[dict[str, float]] = []
    with Progress(processes, "timing") as progress:
        for seed in range(processes):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found.append(pool.submit(measure, seed).result())
            progress.advance()
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def ratio_document(times: NDArray[np.float64], base: NDArray[np.float64], rounds: int) -> dict[str, Any]:
    """Times over those of `base`, process by process: the median and its 95 % bootstrap interval."""
    ratios = times / base
    drawn = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "interval": [round(float(low), 3), round(float(high), 3)],
        "p50_us": round(float(np.median(times)), 1),
        "ours_p50_us": round(float(np.median(base)), 1),
        "processes": len(ratios),
        "n": len(ratios) * rounds,
    }
