"""Groups of folds: which are trained on, which are held out. Patients follow their fold (contract C12)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from edge_mi.errors import ConfigError

from .data.ptbxl import FOLDS

Folds = tuple[int, ...]

CROSS_VALIDATION_GROUPS: tuple[Folds, ...] = ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def parse_folds(text: str) -> Folds:
    """Folds written as `1-8` or `1,3,5-7`, ascending. Raises ConfigError for anything but folds 1 to 9."""
    folds: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise ConfigError(f"folds {text!r}; expected for example 1-8 or 1,2,5")
        folds.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    check_folds(folds)
    return tuple(sorted(folds))


def check_folds(folds: Iterable[int]) -> None:
    """Raises ConfigError for a fold that no training may read."""
    for fold in sorted(folds):
        if fold == 10:
            raise ConfigError("fold 10 is kept for a last look and is not read here; choose folds 1 to 9")
        if fold not in FOLDS:
            raise ConfigError(f"fold {fold}; expected folds 1 to 9")


def pairs(folds: Folds) -> tuple[Folds, ...]:
    """Inner groups of two neighbouring folds each (a last one may be single); at least two groups.

    Raises ConfigError for fewer than two folds.
    """
    if len(folds) < 2:
        raise ConfigError(f"{len(folds)} training fold; cross-fitting needs at least two")
    size = 2 if len(folds) > 2 else 1
    return tuple(folds[start : start + size] for start in range(0, len(folds), size))


def without(folds: Folds, held_out: Folds) -> Folds:
    """`folds` that are not in `held_out`."""
    return tuple(fold for fold in folds if fold not in held_out)


def span(folds: Folds) -> str:
    """Folds as a person writes them: `1-8`, or `1,2,5`."""
    if len(folds) > 1 and folds == tuple(range(folds[0], folds[-1] + 1)):
        return f"{folds[0]}-{folds[-1]}"
    return ",".join(map(str, folds))
