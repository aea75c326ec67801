"""Limits of settings, asked when a configuration is made; where not said otherwise each raises ValueError, one line."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Final

from edge_mi.errors import ConfigError

MOST_SEED: Final = 2**32 - 1  # times the seeds of a run, torch's generator still takes it
MOST_STEPS: Final = 2**31 - 1  # so that whatever counts steps or records is a number of torch
MOST_THREADS: Final = 1024
MOST_NETWORKS: Final = 1000


def check_positive(**values: float) -> None:
    """Every value is a finite number above 0."""
    for name, value in values.items():
        if not 0 < value < inf:
            raise ValueError(f"{name} is {value}; expected a number above 0")


def check_at_least(least: int, **values: float) -> None:
    """Every value is a finite number that is not below `least`."""
    for name, value in values.items():
        if not least <= value < inf:
            raise ValueError(f"{name} is {value}; expected at least {least}")


def check_below_one(**values: float) -> None:
    """Every value lies in [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is {value}; expected at least 0 and less than 1")


def check_seed(seed: int) -> None:
    """Raises ConfigError for a --seed that not all generators take."""
    try:
        check_seeds((seed,), "--seed")
    except ValueError as exc:
        raise ConfigError(str(exc)) from exc


def check_seeds(seeds: Iterable[int], name: str) -> None:
    """Every seed is one that all generators take; `name`: of the setting."""
    for seed in seeds:
        if not 0 <= seed <= MOST_SEED:
            raise ValueError(f"{name} {seed}; seeds are 0 to {MOST_SEED}")
