"""Reading a record of any kind, by its ending."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError, RecordError, SignalError
from edge_mi.records.csv import read_csv
from edge_mi.records.leads import canonical_lead, choose_lead, names_no_lead
from edge_mi.records.rates import LISTED_RATES, nearest_listed_rate_hz
from edge_mi.records.record import Record, Signals
from edge_mi.records.wfdb import read_wfdb

WFDB_ENDINGS: Final = (".hea", ".dat", ".mat")
MAX_SPAN_MV: Final = 100.0
_NOTABLE_RATE_ERROR = 0.005


def read_record(path: str | Path, lead: str = "I", rate_hz: float | None = None) -> Record:
    """One lead of the record at `path`: a .hea, .dat, .mat or .csv file, or a WFDB record without ending.

    lead: without regard to case. rate_hz: needed for a CSV without a time column only.
    Raises RecordError where there is no such record or lead or it cannot be read; SignalError where the rate
    is none of the listed ones or the samples cannot be millivolts of an ECG.
    """
    if rate_hz is not None:
        _nominal(rate_hz, "the rate given is")
    signals = read_signals(path, rate_hz)
    index, warnings = choose_lead(signals.name, signals.leads, lead)
    nominal = _nominal(signals.rate_hz, f"{signals.name} has")
    if abs(nominal - signals.rate_hz) > _NOTABLE_RATE_ERROR * nominal:
        warnings += (f"{signals.name} has {signals.rate_hz:g} Hz and is taken as {nominal} Hz",)
    samples = signals.samples_mv[index]
    _check_span(samples, signals.name)
    return Record(
        name=signals.name,
        lead=canonical_lead(lead) if names_no_lead(signals.leads[index]) else signals.leads[index],
        samples_mv=samples.astype(np.float32),
        rate_hz=float(nominal),
        warnings=signals.warnings + warnings,
    )


def read_signals(path: str | Path, rate_hz: float | None = None) -> Signals:
    """All signals of the record at `path`, at the rate it states; see `read_record` for what `path` may be.

    Raises RecordError where there is no such record or it cannot be read, ConfigError for an impossible rate.
    """
    path = Path(path)
    if rate_hz is not None and not (math.isfinite(rate_hz) and rate_hz > 0):
        raise ConfigError(f"a rate must be above 0 Hz, found {rate_hz:g}")
    file = main_file(path)
    try:
        if "\0" in str(file) or not file.is_file():
            beside = "" if file == path else f" (there is no {file.name!a})"
            raise RecordError(f"no such record: {ascii(str(path))[1:-1]}{beside}")
        return read_csv(file, rate_hz) if file.suffix.lower() == ".csv" else read_wfdb(file, rate_hz)
    except OSError as exc:
        raise RecordError(f"cannot read {ascii(str(path))[1:-1]}: {exc.strerror or exc}") from exc
    except MemoryError as exc:
        raise RecordError(f"{path.name} does not fit into memory: cut it into parts") from exc


def main_file(path: Path) -> Path:
    """The file that describes the record `path`: its CSV or its header."""
    ending = path.suffix.lower()
    if ending in (".csv", ".hea"):
        return path
    return path.with_suffix(".hea") if ending in WFDB_ENDINGS else path.parent / f"{path.name}.hea"


def _nominal(rate_hz: float, found: str) -> int:
    nominal = nearest_listed_rate_hz(rate_hz)
    if nominal is None:
        raise SignalError(f"{found} {rate_hz:g} Hz; expected a rate within 2 % of {LISTED_RATES} Hz")
    return nominal


def _check_span(samples_mv: NDArray[np.float64], name: str) -> None:
    finite = samples_mv[np.isfinite(samples_mv)]
    if finite.size == 0:
        return  # nothing to judge, which is for the detector to say
    low, high = np.percentile(finite, (0.1, 99.9))  # spares single spikes
    if high - low > MAX_SPAN_MV:
        raise SignalError(
            f"{name} spans {high - low:.4g} mV, an ECG spans less than 20 mV: are microvolts given as millivolts?"
        )
