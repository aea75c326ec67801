"""ECG packets of ProtoCentral's HealthyPi boards: samples and nothing else, in three layouts behind the same UUIDs.

No packet has a counter, a stamp or a checksum, so the layout must be chosen by the board's name, and what was lost on
the way cannot be seen. Facts and scales are from the boards' public firmware, repositories of Protocentral.

HealthyPi 5 (protocentral_healthypi5_zephyr, main of 2026-06) and Move (healthypi-move-fw, 2.1.1): a MAX30001 at 128 Hz
(`max30001.c`: FMSTR 0, RATE 2), 0.5 to 40 Hz. `max30001_async.c` puts the 18 bits of its converter at the top of a word
of 32 and shifts them down by 6, so a packet has 256 times the converter's code; `data_module.c` hands it on unfiltered.
At the chip's reference of 1 V a millivolt is 2^17 * gain / 1000 codes. The gain is 80 in `healthypi5.dts`, and 40 in
`nrf5340_cpuapp_common.dtsi` of the Move, which had 20 before firmware 1.9. Some firmware of HealthyPi 5 before 1.1
shifts by another number: a sample that is no multiple of 256 tells it, and its packet is none here. The Move sends only
while its ECG screen measures, for 30 s, and its wearer starts that.

HealthyPi v4 (protocentral_healthypi_v4): an ADS1292R at 125 Hz (`Protocentral_ADS1292r.cpp`: CONFIG1 0), reference
2.42 V (CONFIG2 0xa0), ECG on channel 2 at gain 12 (CH2SET 0x60, whatever the comment beside it says). The sketch keeps
the upper 16 of 24 bits and sends them unfiltered. Once a client wrote `spo2` to the characteristic, it carries light
instead of ECG in packets that look the same, until the board restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from edge_mi.errors import ConfigError, FrameError

from .frames import Frame, StreamFormat

SERVICE: Final = "00001122-0000-1000-8000-00805f9b34fb"
ECG: Final = "00001424-0000-1000-8000-00805f9b34fb"

_MAX30001_BITS, _MAX30001_SHIFT, _MAX30001_MV = 18, 8, 1000
_ADS1292R_MV = 2420


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the packets of one board are.

    sample_bytes: of a little-endian two's complement. samples: the fewest and the most of a packet. code_bits: what
    the converter's code needs. shift: bits by which the firmware moves it up. format: how to read the codes.
    refusal: why the packets are no ECG to judge by, None where they are.
    """

    title: str
    sample_bytes: Literal[2, 4]
    samples: tuple[int, int]
    code_bits: int
    shift: int
    format: StreamFormat
    refusal: str | None = None

    @property
    def needed_mtu(self) -> int:
        """ATT MTU at which the longest packet fits, 23 or more."""
        return max(23, 3 + self.sample_bytes * self.samples[1])


HEALTHYPI_5: Final = Layout(
    title="HealthyPi 5",
    sample_bytes=4,
    samples=(8, 8),
    code_bits=_MAX30001_BITS,
    shift=_MAX30001_SHIFT,
    format=StreamFormat(rate_hz=128, codes_per_mv=2**17 * 80 / _MAX30001_MV, bits=24),
    # data_module.c stores a sample only while there is room, and at the one that finds none it sends the eight and
    # forgets that one; firmware 1.1 does not, but its packets cannot be told from these
    refusal=(
        "its firmware 2.0 to 2.2 leaves out every ninth sample over Bluetooth, and an ECG spliced from the rest is not "
        "judged; with firmware 1.1, which sends all, say --profile healthypi5-fw1"
    ),
)
HEALTHYPI_MOVE: Final = Layout(
    title="HealthyPi Move",
    sample_bytes=4,
    samples=(8, 32),
    code_bits=_MAX30001_BITS,
    shift=_MAX30001_SHIFT,
    format=StreamFormat(rate_hz=128, codes_per_mv=2**17 * 40 / _MAX30001_MV, bits=24),
)
HEALTHYPI_V4: Final = Layout(
    title="HealthyPi v4",
    sample_bytes=2,
    samples=(9, 9),
    code_bits=16,
    shift=0,
    format=StreamFormat(rate_hz=125, codes_per_mv=2**15 * 12 / _ADS1292R_MV, bits=16),
)


def decode(layout: Layout, data: bytes) -> Frame:
    """A notification of the ECG characteristic, in codes of the converter.

    Raises FrameError for another number of samples, and for what the converter cannot have made.
    """
    fewest, most = layout.samples
    n, rest = divmod(len(data), layout.sample_bytes)
    if rest or not fewest <= n <= most:
        expected = f"{most}" if fewest == most else f"{fewest} to {most}"
        raise FrameError(
            f"a packet of {len(data)} bytes; a {layout.title} sends {expected} samples of {layout.sample_bytes}"
        )
    sent = np.frombuffer(data, dtype=f"<i{layout.sample_bytes}").astype(np.int32)
    codes = sent >> layout.shift
    if np.any(codes << layout.shift != sent):
        raise FrameError(
            f"samples that are no multiples of {1 << layout.shift}: the {layout.title} has firmware of another scale, "
            "update it"
        )
    limit = 1 << (layout.code_bits - 1)
    if codes.min() < -limit or codes.max() >= limit:
        raise FrameError(
            f"codes of {codes.min()} to {codes.max()}; the converter has {layout.code_bits} bits"
        )
    return Frame(codes=codes)


def encode(layout: Layout, codes: ArrayLike) -> bytes:
    """The packet of codes (n,), integers, that saturate where the converter does. Raises ConfigError."""
    samples = np.asarray(codes)
    fewest, most = layout.samples
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.integer):
        raise ConfigError(f"a packet needs a row of integers, found {samples.dtype} {samples.shape}")
    if not fewest <= samples.size <= most:
        raise ConfigError(f"a {layout.title} sends {fewest} to {most} samples, found {samples.size}")
    limit = 1 << (layout.code_bits - 1)
    sent = np.clip(samples.astype(np.int64), -limit, limit - 1) << layout.shift
    return sent.astype(f"<i{layout.sample_bytes}").tobytes()
