"""What a patch does to lead I, each element a dataclass of its own and None to leave it out.

Defaults are assumptions about patches in general, taken from no one device; two numbers in brackets are the ends
of what is drawn for each record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from edge_mi.signal_design import SUPPORTED_RATES_HZ

NoiseKind: TypeAlias = Literal["bw", "ma", "em"]
NOISE_KINDS: Final[tuple[NoiseKind, ...]] = ("bw", "ma", "em")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateConfig:
    """The sensor's clock: nominal rate one of `rates_hz`, true rate that times 1 + U(-error, error).

    The chain believes the nominal rate (contract C2), so that an error stretches time. In training only the error
    acts: stored signals end at 40 Hz, up to where the chain brings every listed rate to 100 Hz unchanged.
    """

    rates_hz: tuple[int, ...] = (125, 128, 130, 200, 250, 256, 500)
    error: float = 0.01

    def __post_init__(self) -> None:
        if not self.rates_hz or not set(self.rates_hz) <= set(SUPPORTED_RATES_HZ):
            raise ValueError(f"rates {self.rates_hz} Hz; expected some of {SUPPORTED_RATES_HZ}")
        if not 0 <= self.error < 0.02:
            raise ValueError(f"a rate error of {self.error}; expected at least 0 and less than 0.02")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdcConfig:
    """The converter: log-uniform resolution in microvolts a code, saturation at plus and minus range_mv.

    offset: the electrodes put the baseline at U(-offset, offset) of the range.
    """

    lsb_uv: tuple[float, float] = (0.5, 10.0)
    range_mv: tuple[float, float] = (2.5, 10.0)
    offset: float = 0.4

    def __post_init__(self) -> None:
        _check_ends("lsb_uv", self.lsb_uv, above=0.0)
        _check_ends("range_mv", self.range_mv, above=0.0)
        if not 0 <= self.offset < 1:
            raise ValueError(f"an offset of {self.offset} of the range; expected at least 0 and less than 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class GainConfig:
    """The amplifier: millivolts times 1 + U(-error, error), which nobody corrects."""

    error: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.error < 1:
            raise ValueError(f"a gain error of {self.error}; expected at least 0 and less than 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseConfig:
    """With `probability` a crop of a noise track of one of `kinds`, at U(snr_db) as `snr.py` defines it.

    bw: baseline wander, ma: muscle artefact, em: electrode motion.
    """

    kinds: tuple[NoiseKind, ...] = ("bw", "ma")
    probability: float = 0.5
    snr_db: tuple[float, float] = (0.0, 24.0)

    def __post_init__(self) -> None:
        if not self.kinds or not set(self.kinds) <= set(NOISE_KINDS):
            raise ValueError(f"kinds of noise {self.kinds}; expected some of {', '.join(NOISE_KINDS)}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"a probability of {self.probability}; expected 0 to 1")
        _check_ends("snr_db", self.snr_db)


@dataclass(frozen=True, slots=True, kw_only=True)
class WanderConfig:
    """Breathing: a sine of U(amplitude_mv) at U(frequency_hz). The chain removes most of it, the converter's range not."""

    amplitude_mv: tuple[float, float] = (0.0, 0.5)
    frequency_hz: tuple[float, float] = (0.15, 0.4)

    def __post_init__(self) -> None:
        _check_ends("amplitude_mv", self.amplitude_mv)
        _check_ends("frequency_hz", self.frequency_hz, above=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GapConfig:
    """Drop-outs: `per_minute` of them on average, each U(length_s) long; in a stream only.

    A gap ends the segment, and a window lies in one segment (contract C2), so no window that is judged ever holds
    one. What a gap leaves for the network to see is the end of a segment, and stored records begin and end so: in
    training nothing is masked and nothing shortened.
    """

    per_minute: float = 1.0
    length_s: tuple[float, float] = (0.1, 3.0)

    def __post_init__(self) -> None:
        if self.per_minute < 0:
            raise ValueError(f"{self.per_minute} gaps a minute; expected at least 0")
        _check_ends("length_s", self.length_s, above=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """A patch. noise: of muscles and wander; motion: of electrodes; both may fall on the same record."""

    rate: RateConfig | None = field(default_factory=RateConfig)
    adc: AdcConfig | None = field(default_factory=AdcConfig)
    gain: GainConfig | None = field(default_factory=GainConfig)
    noise: NoiseConfig | None = field(default_factory=NoiseConfig)
    motion: NoiseConfig | None = field(default_factory=lambda: NoiseConfig(kinds=("em",), probability=0.25))
    wander: WanderConfig | None = field(default_factory=WanderConfig)
    gaps: GapConfig | None = field(default_factory=GapConfig)

    @property
    def noises(self) -> tuple[NoiseConfig, ...]:
        """What is drawn from noise tracks."""
        return tuple(each for each in (self.noise, self.motion) if each is not None)

    @property
    def kinds(self) -> tuple[NoiseKind, ...]:
        """The kinds of noise that are needed, in a fixed order."""
        return tuple(kind for kind in NOISE_KINDS if any(kind in each.kinds for each in self.noises))


def _check_ends(name: str, ends: tuple[float, float], *, above: float | None = None) -> None:
    if not ends[0] <= ends[1] or (above is not None and not ends[0] > above):
        more = "" if above is None else f" above {above:g}"
        raise ValueError(f"{name} {ends}; expected a lower and an upper end{more}")
