"""How a recording fits into EDF+: 16 bits, eight characters for a number, whole samples in a data record.

Source: https://www.edfplus.info/specs/edf.html and edfplus.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_mi.errors import OutputError
from edge_mi.samples import FloatArray

MAX_DIGITAL: Final = 32_767
LONGEST_TEXT: Final = 40  # of an annotation, as pyEDFlib writes it

_UNITS: Final = (("uV", 1000.0), ("mV", 1.0))
_PHYSICAL_CHARACTERS = 7  # of eight, one is the sign
_LARGEST_PHYSICAL = 99_999.0
_LONGEST_RECORD_S = 59.0
_SHORTEST_RECORD_S = 0.001
_TICKS_PER_S = 100_000  # a data record's length is given in steps of 10 µs
_LARGEST_RECORD_SAMPLES = 30_000  # the format advises 61,440 bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Digital values -digital_max..digital_max stand for -physical_max..physical_max.

    `-digital_max` itself is kept for missing samples.
    """

    unit: str
    physical_max: float
    digital_max: int
    codes_per_digital: float
    mv_per_digital: float

    @property
    def exact(self) -> bool:
        """Whether a digital value is the sensor's code."""
        return self.codes_per_digital == 1.0

    @property
    def missing(self) -> int:
        """Digital value of a missing sample; no other has it."""
        return -self.digital_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Data records of `n_samples` samples and `duration_s` seconds. error_ppm: of the rate that they make."""

    n_samples: int
    duration_s: float
    error_ppm: float


def scale_for(largest_code: int, codes_per_mv: float) -> Scale:
    """The scale for codes from -largest_code to largest_code: the codes themselves where they fit, else the finest.

    Raises OutputError where no scale of the format holds such a signal.
    """
    if largest_code < MAX_DIGITAL:
        digital = np.arange(largest_code + 1, MAX_DIGITAL + 1)
        step_codes = 1.0
    else:
        digital = np.array([MAX_DIGITAL])
        step_codes = largest_code / (MAX_DIGITAL - 1)
    for unit, per_mv in _UNITS:
        wanted = np.asarray(digital * step_codes / codes_per_mv * per_mv, dtype=np.float64)
        fits = wanted <= _LARGEST_PHYSICAL
        if not fits.any():
            continue
        digital, wanted = digital[fits], wanted[fits]
        written = _shortened(wanted, up=step_codes != 1.0)
        error = np.round(np.abs(written / wanted - 1), 12)
        best = len(error) - 1 - int(np.argmin(error[::-1]))  # of equals the widest
        physical_max, digital_max = float(written[best]), int(digital[best])
        if physical_max <= 0:
            continue
        mv_per_digital = physical_max / digital_max / per_mv
        return Scale(
            unit=unit,
            physical_max=physical_max,
            digital_max=digital_max,
            codes_per_digital=1.0 if step_codes == 1.0 else mv_per_digital * codes_per_mv,
            mv_per_digital=mv_per_digital,
        )
    raise OutputError(
        f"codes up to {largest_code} at {codes_per_mv:g} codes per mV are beyond what EDF has room for"
    )


def records_for(rate_hz: float) -> Records:
    """Data records that make `rate_hz` best; of equally good ones those nearest to a second."""
    most = min(_LARGEST_RECORD_SAMPLES, int(_LONGEST_RECORD_S * rate_hz))
    n = np.arange(1, max(most, 1) + 1)
    ticks = np.rint(n / rate_hz * _TICKS_PER_S)
    possible = (ticks >= _SHORTEST_RECORD_S * _TICKS_PER_S) & (ticks <= _LONGEST_RECORD_S * _TICKS_PER_S)
    if not possible.any():
        raise OutputError(f"EDF has no data record for {rate_hz:g} Hz")
    n, ticks = n[possible], ticks[possible]
    error = np.round(np.abs(n / ticks * _TICKS_PER_S / rate_hz - 1), 12)
    nearest = np.abs(np.log(ticks / _TICKS_PER_S))
    best = int(np.lexsort((nearest, error))[0])
    made_hz = n[best] / ticks[best] * _TICKS_PER_S
    return Records(
        n_samples=int(n[best]),
        duration_s=float(ticks[best] / _TICKS_PER_S),
        error_ppm=float((made_hz / rate_hz - 1) * 1e6),
    )


def _shortened(values: FloatArray, *, up: bool) -> FloatArray:
    """Numbers near `values`, below 100,000, that seven characters hold; not below them if `up`."""
    whole_digits = np.searchsorted([10.0, 100.0, 1000.0, 10_000.0], values, side="right") + 1
    per_unit = 10.0 ** (_PHYSICAL_CHARACTERS - 1 - whole_digits)
    rounded: FloatArray = (np.ceil if up else np.rint)(values * per_unit) / per_unit
    return rounded
