"""ECG in CSV: a header row, one column a lead whose name ends in its unit, and a column of time or a given rate."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import RecordError
from edge_mi.records.leads import canonical_lead
from edge_mi.records.rates import LISTED_RATES, nearest_listed_rate_hz, rates_agree
from edge_mi.records.record import Signals

MAX_GAP_S: Final = 3600.0
_TIME_COLUMNS = {"time_ns": 1e-9, "t_s": 1.0}
_UNIT = re.compile(r"(.*)_([uµμm]V)", re.IGNORECASE | re.DOTALL)  # both signs for micro
_LARGEST = 1e20  # far beyond any voltage or time; keeps sums and float32 finite
_HEADER_CHARS = 1 << 16


@dataclass(frozen=True, slots=True)
class _Columns:
    leads: tuple[str, ...]
    lead_indices: tuple[int, ...]
    mv_per_unit: tuple[float, ...]
    time_index: int | None
    s_per_unit: float


def read_csv(path: Path, rate_hz: float | None = None) -> Signals:
    """Read a CSV record; `rate_hz` is needed where it has no time column. Steps missing in time become NaN.

    Raises RecordError for a file that is no such CSV, rates far from every listed one, time that runs
    backwards or jumps over more than an hour; OSError where it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            columns = _columns(next(rows, []), path.name)
            table = list(rows)
    except (UnicodeDecodeError, csv.Error) as exc:
        raise RecordError(f"{path.name} is not a CSV in UTF-8: {' '.join(str(exc).split())[:120]}") from exc
    body = [row for row in table if row]
    if not body:
        raise RecordError(f"{path.name} has a header and no rows")
    try:
        samples = np.stack([
            _column(body, index, path.name) * unit
            for index, unit in zip(columns.lead_indices, columns.mv_per_unit, strict=True)
        ])  # fmt: skip
        times = None if columns.time_index is None else _column(body, columns.time_index, path.name)
    except _BadCell as exc:
        # blank rows were skipped above, so the line is looked up only now that it is needed
        line = [i for i, row in enumerate(table, start=2) if row][exc.row]
        raise RecordError(f"{path.name}, line {line}: {exc}") from None
    if times is None:
        if rate_hz is None:
            raise RecordError(f"{path.name} has no column time_ns or t_s: give its rate with --rate")
        rate = rate_hz
    else:
        steps_s = np.diff(times * columns.s_per_unit)
        rate, missing = _timing(steps_s, path.name, rate_hz)
        samples = _with_missing(samples, missing)
    return Signals(name=path.stem, leads=columns.leads, samples_mv=samples, rate_hz=rate)


def has_ecg_header(path: Path) -> bool:
    """Whether `path` is a CSV whose header has a column that ends in a unit of voltage. Raises OSError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(_HEADER_CHARS)
        return any(_UNIT.fullmatch(name.strip()) for name in next(csv.reader([first]), []))
    except (UnicodeDecodeError, csv.Error):
        return False


class _BadCell(Exception):
    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


def _columns(header: Sequence[str], file: str) -> _Columns:
    names = [name.strip() for name in header]
    units = {i: match for i, name in enumerate(names) if (match := _UNIT.fullmatch(name))}
    if len(names) == 1 and ";" in names[0]:
        raise RecordError(
            f"{file} separates its columns by semicolons; expected commas, and points in numbers"
        )
    if not units:
        found = ascii(", ".join(names)[:80])
        raise RecordError(f"{file} has no column whose name ends in _mV or _uV; its first line is {found}")
    time_name = next((name for name in _TIME_COLUMNS if name in names), None)
    return _Columns(
        leads=tuple(canonical_lead(match[1]) for match in units.values()),
        lead_indices=tuple(units),
        mv_per_unit=tuple(1.0 if match[2].lower() == "mv" else 1e-3 for match in units.values()),
        time_index=None if time_name is None else names.index(time_name),
        s_per_unit=1.0 if time_name is None else _TIME_COLUMNS[time_name],
    )


def _column(rows: Sequence[Sequence[str]], index: int, file: str) -> NDArray[np.float64]:
    """One column as float64 (n,), NaN for an empty cell. Raises _BadCell."""
    try:
        values = np.array([float(row[index] or "nan") for row in rows], dtype=np.float64)
    except (IndexError, ValueError):
        values = np.array([_cell(row, index, i) for i, row in enumerate(rows)], dtype=np.float64)
    wild = np.flatnonzero(np.abs(values) > _LARGEST)
    if wild.size:
        raise _BadCell(int(wild[0]), f"found {values[wild[0]]:g}, expected a voltage or a time")
    return values


def _cell(row: Sequence[str], index: int, i: int) -> float:
    if index >= len(row):
        raise _BadCell(i, f"found {len(row)} columns, expected {index + 1} or more as in the header")
    try:
        return float(row[index].strip() or "nan")
    except ValueError:
        raise _BadCell(i, f"found {row[index][:40]!a}, expected a number") from None


def _timing(
    steps_s: NDArray[np.float64], file: str, given_hz: float | None
) -> tuple[float, NDArray[np.int64]]:
    """The listed rate, and how many samples are missing after each row but the last, int64 (n - 1,)."""
    if steps_s.size == 0:
        raise RecordError(f"{file} has one row; expected more to tell the rate from")
    bad = np.flatnonzero(~(steps_s > 0))
    if bad.size:
        if math.isnan(steps_s[bad[0]]):
            raise RecordError(
                f"{file}: row {bad[0] + 1} or {bad[0] + 2} has no time; expected one in every row"
            )
        raise RecordError(f"{file}: row {bad[0] + 2} is not later than the one before; expected time to grow")
    jumps = steps_s > 1.5 * float(np.median(steps_s))
    # the median alone would take 130 Hz, written in whole milliseconds, for 125 Hz
    step_s = float(steps_s[~jumps].mean())
    gap_s = float(steps_s[jumps].sum())
    if gap_s > MAX_GAP_S:
        raise RecordError(
            f"{file} has gaps of {gap_s:.0f} s; expected at most {MAX_GAP_S:.0f} s: cut it into parts"
        )
    measured_hz = 1.0 / step_s
    nominal = nearest_listed_rate_hz(measured_hz)
    if nominal is None:
        raise RecordError(
            f"{file} has {measured_hz:.4g} samples a second; expected within 2 % of {LISTED_RATES} Hz"
        )
    if given_hz is not None and not rates_agree(measured_hz, given_hz):
        raise RecordError(f"{file} has {measured_hz:.4g} samples a second, the rate given is {given_hz:g} Hz")
    return float(nominal), np.where(jumps, np.rint(steps_s / step_s) - 1, 0).astype(np.int64)


def _with_missing(samples: NDArray[np.float64], missing: NDArray[np.int64]) -> NDArray[np.float64]:
    if not missing.any():
        return samples
    places = np.concatenate([[0], np.cumsum(missing + 1)])
    spread = np.full((len(samples), int(places[-1]) + 1), np.nan)
    spread[:, places] = samples
    return spread
