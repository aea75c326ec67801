"""Deterministic twelve-lead ECG from a moving dipole, healthy or with an infarct; the data where there is no data.

A heart vector (x left, y down, z back) runs through P, Q, R, S, ST and T, and a fixed matrix projects it on I, II
and V1 to V6; the other four leads follow from I and II (Einthoven, Goldberger), so II = I + III to the bit. The
projection is of the kind of Dower's (Clin. Cardiol. 3:87, 1980), rounded. It looks like an ECG; it is not a
model of one patient, and nothing learned from it is worth anything on real hearts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from edge_mi.errors import ConfigError
from edge_mi.samples import FloatArray
from edge_mi.signal_design import MV_BITS

Territory: TypeAlias = Literal["none", "anterior", "inferior", "lateral"]
TERRITORIES: Final[tuple[Territory, ...]] = get_args(Territory)
LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# rows: I, II, V1..V6; columns: x, y, z
_PROJECTION: Final = np.array(
    [
        [0.65, -0.20, 0.05],
        [0.25, 1.05, -0.12],
        [-0.50, 0.15, -0.90],
        [0.05, 0.15, -1.35],
        [0.85, 0.10, -1.25],
        [1.20, 0.12, -0.60],
        [1.10, 0.12, -0.10],
        [0.82, 0.08, 0.22],
    ]
)
# (vector in mV, centre and width in s from the R peak); the T wave moves with the heart rate
_HEALTHY: Final = {
    "p": ((0.10, 0.12, -0.02), -0.160, 0.024),
    "q": ((-0.10, -0.04, -0.12), -0.028, 0.008),
    "r": ((1.15, 0.85, 0.25), 0.0, 0.012),
    "s": ((-0.22, -0.12, 0.30), 0.030, 0.011),
    "t": ((0.34, 0.26, -0.20), 0.270, 0.045),
}
# unit vectors that point at the wall that died
_DIRECTION: Final = {
    "anterior": (0.45, -0.10, -0.89),
    "inferior": (-0.15, 0.97, 0.18),
    "lateral": (0.93, -0.25, 0.27),
}
_ST_MV: Final = 0.25
_Q_MV: Final = 0.55
_T_MV: Final = 0.45
_ST_START_S, _ST_END_S, _ST_RISE_S, _ST_FALL_S = 0.045, 0.230, 0.012, 0.040


@dataclass(frozen=True, slots=True)
class SyntheticEcg:
    """leads: names; samples_mv float64 (12, n), on the 2^-14 mV grid or its halves; r_peaks_s: times of the R peaks."""

    leads: tuple[str, ...]
    samples_mv: FloatArray
    rate_hz: float
    r_peaks_s: FloatArray

    def lead(self, name: str) -> FloatArray:
        """One lead, float64 (n,), millivolts. Raises ConfigError for a name that is none of the twelve."""
        for i, known in enumerate(self.leads):
            if known.lower() == name.lower():
                return np.array(self.samples_mv[i], dtype=np.float64)
        raise ConfigError(f"no lead {name!r}; expected one of {', '.join(self.leads)}")


def ecg(
    seconds: float,
    *,
    rate_hz: float = 500.0,
    territory: str = "none",
    heart_rate_bpm: float = 70.0,
    st_mv: float | None = None,
    noise_mv: float = 0.01,
    wander_mv: float = 0.05,
    seed: int = 0,
) -> SyntheticEcg:
    """A twelve-lead ECG; the same arguments give the same samples on every machine.

    territory: `none`, `anterior`, `inferior` or `lateral`. st_mv: length of the ST vector (default: that of an
    infarct, or none). noise_mv: standard deviation of white noise. wander_mv: amplitude of the baseline.
    Raises ConfigError for another territory or values out of range.
    """
    if territory not in TERRITORIES:
        raise ConfigError(f"territory {territory!r}; expected one of {', '.join(TERRITORIES)}")
    if not (seconds > 0 and rate_hz > 0 and 20 <= heart_rate_bpm <= 250 and noise_mv >= 0 and wander_mv >= 0):
        raise ConfigError(
            "an ECG needs seconds and rate_hz above 0, 20 to 250 bpm, noise_mv and wander_mv from 0"
        )
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    beats = _beat_times(seconds, heart_rate_bpm, rng)
    heart = np.zeros((3, len(t)))
    for beat in beats:
        _add_beat(heart, t, beat, territory, st_mv, heart_rate_bpm)
    independent = _PROJECTION @ heart
    for row in independent:
        phase, slow_hz = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.35)
        row += wander_mv * np.sin(2 * np.pi * slow_hz * t + phase)
        row += rng.normal(scale=1.0, size=len(t)) * noise_mv
    return SyntheticEcg(
        LEADS, _twelve(_grid(independent)), float(rate_hz), beats[(beats >= 0) & (beats < seconds)]
    )


def st_beats(bpm: float, st_mv: float, *, rate_hz: float, seconds: float) -> tuple[FloatArray, FloatArray]:
    """Idealised lead I for the ST test: (samples float64 (n,) in mV, R peaks in s).

    The baseline is exactly zero before each beat; ST is a plateau of `st_mv` from the J point to the T wave.
    """
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    peaks = np.arange(0.5, seconds - 0.6, 60.0 / bpm)
    samples = np.zeros(len(t))
    for peak in peaks:
        near = slice(*np.searchsorted(t, [peak - 0.4, peak + 0.6]))
        dt = t[near] - peak
        for height, centre, width in ((0.12, -0.17, 0.018), (-0.08, -0.024, 0.006), (1.0, 0.0, 0.010),
                                      (-0.2, 0.028, 0.009), (0.3, 0.29, 0.038)):  # fmt: skip
            samples[near] += height * _bump(dt, centre, width)
        samples[near] += st_mv * _plateau(dt)
    return _grid(samples), peaks


def _beat_times(seconds: float, bpm: float, rng: np.random.Generator) -> FloatArray:
    interval = 60.0 / bpm
    count = int(seconds / interval) + 4
    intervals = interval * (1 + 0.02 * np.clip(rng.normal(size=count), -2, 2))
    return np.asarray(np.cumsum(intervals) - 1.6 * interval, dtype=np.float64)


def _add_beat(
    heart: FloatArray, t: FloatArray, beat: float, territory: str, st_mv: float | None, bpm: float
) -> None:
    near = slice(*np.searchsorted(t, [beat - 0.4, beat + 0.7]))
    dt = t[near] - beat
    # Bazett: the QT interval goes with the root of the RR interval
    stretch = (60.0 / bpm) ** 0.5
    for name, (vector, centre, width) in _HEALTHY.items():
        moved = centre * stretch if name == "t" else centre
        heart[:, near] += np.outer(vector, _bump(dt, moved, width * (stretch if name == "t" else 1.0)))
    if territory == "none":
        direction = np.array([0.6, 0.6, -0.5])
        st = st_mv or 0.0
    else:
        direction = np.array(_DIRECTION[territory])
        st = _ST_MV if st_mv is None else st_mv
        heart[:, near] -= np.outer(_Q_MV * direction, _bump(dt, -0.022, 0.014))
        heart[:, near] -= np.outer(_T_MV * direction, _bump(dt, 0.270 * stretch, 0.050 * stretch))
    if st:
        heart[:, near] += np.outer(st * direction, _plateau(dt))


def _bump(dt: FloatArray, centre: float, width: float) -> FloatArray:
    z = (dt - centre) / width
    # beyond five widths nothing is left on the grid; exactly zero keeps the baseline clean
    return np.where(np.abs(z) < 5.0, np.exp(-0.5 * z * z), 0.0)


def _plateau(dt: FloatArray) -> FloatArray:
    """1 from the J point to the T wave, with cosine edges."""
    rise = np.clip((dt - _ST_START_S) / _ST_RISE_S, 0.0, 1.0)
    fall = np.clip((_ST_END_S - dt) / _ST_FALL_S, 0.0, 1.0)
    return np.asarray((1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall)) / 4, dtype=np.float64)


def _grid(samples_mv: NDArray[np.float64]) -> FloatArray:
    return np.asarray(np.rint(samples_mv * (1 << MV_BITS)) / (1 << MV_BITS), dtype=np.float64)


def _twelve(independent: FloatArray) -> FloatArray:
    one, two = independent[0], independent[1]
    # halves of grid values are exact in float64
    limbs = [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2]
    return np.stack([*limbs, *independent[2:]])
