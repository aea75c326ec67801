"""Latency of many files in one run, each call in turn, so that what else the machine does meets them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.progress import Progress

from .model_file import Call

OPENINGS: Final = 10
ROUNDS: Final = 300
_WARM_UP: Final = 30


def interleaved(
    openers: Mapping[str, Callable[[], Call]],
    *,
    openings: int = OPENINGS,
    rounds: int = ROUNDS,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, NDArray[np.float64]]:
    """Median microseconds of each in every opening, float64 (openings,).

    All are opened anew for each opening, since where memory lies changes a latency; in every round each is called once,
    in an order drawn anew, since what ran before has filled the caches.
    """
    rng = np.random.default_rng(0)
    medians: dict[str, list[float]] = {name: [] for name in openers}
    with Progress(openings, f"timing {len(openers)} files") as progress:
        for _ in range(openings):
            calls = [(name, opener()) for name, opener in openers.items()]
            spent: dict[str, list[int]] = {name: [] for name in openers}
            for turn in range(rounds + _WARM_UP):
                for i in rng.permutation(len(calls)):
                    name, call = calls[i]
                    start = clock()
                    call()
                    elapsed = clock() - start
                    if turn >= _WARM_UP:
                        spent[name].append(elapsed)
            for name, times in spent.items():
                medians[name].append(float(np.median(times)) / 1000)
            progress.advance()
    return {name: np.array(values) for name, values in medians.items()}


def ratio_document(times: NDArray[np.float64], base: NDArray[np.float64], rounds: int) -> dict[str, Any]:
    """Times over those of `base`, opening by opening: the median, the smallest and the largest."""
    ratios = times / base
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "lowest": round(float(ratios.min()), 3),
        "highest": round(float(ratios.max()), 3),
        "p50_us": round(float(np.median(times)), 1),
        "ours_p50_us": round(float(np.median(base)), 1),
        "openings": len(ratios),
        "n": len(ratios) * rounds,
    }
