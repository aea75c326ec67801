"""A recording on disk: a folder of five files, and what stands at its beginning.

`ecg.hea` and `ecg.dat` are a WFDB record of one signal in the sensor's own codes, `ecg.atr` its annotations of the signal
(gaps, contact, battery), `ecg.dec` those of the decisions. `ecg.journal` has all that a signal file cannot say: with it
the stream comes back as it was, to the bit.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge_mi.detector import PLACEMENTS, Placement
from edge_mi.errors import ConfigError
from edge_mi.notice import NOTICE
from edge_mi.records.wfdb_codes import INVALID

from ..frames import StreamFormat

SCHEMA: Final = 1
RECORD: Final = "ecg"
HEADER: Final = f"{RECORD}.hea"
SIGNAL: Final = f"{RECORD}.dat"
ANNOTATIONS: Final = f"{RECORD}.atr"
DECISIONS: Final = f"{RECORD}.dec"
JOURNAL: Final = f"{RECORD}.journal"
FILES: Final = (HEADER, SIGNAL, ANNOTATIONS, DECISIONS, JOURNAL)
FILE_MODE: Final = 0o600  # a recording is somebody's health: for its owner only
FOLDER_MODE: Final = 0o700
MAX_FILL_S: Final = 86_400.0
MAX_RATE_HZ: Final = 1e6

_GAIN_RANGE = (1e-6, 1e12)  # what our reader of WFDB takes
_ADDRESS = re.compile(r"([0-9a-f]{2}[:_-]){5,}[0-9a-f]{2}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingMeta:
    """What is recorded.

    profile: key of the patch's profile. device: its name, or `anonymous` of its address. Raises ConfigError for values
    that no recording can have.
    """

    format: StreamFormat
    placement: Placement
    profile: str
    device: str
    notice: str = NOTICE

    def __post_init__(self) -> None:
        layout = self.format
        if self.placement not in PLACEMENTS:
            raise ConfigError(f"placement {self.placement!r}; expected one of {', '.join(PLACEMENTS)}")
        if not 0 < layout.rate_hz <= MAX_RATE_HZ:
            raise ConfigError(f"a stream of {layout.rate_hz:g} Hz; expected above 0, at most {MAX_RATE_HZ:g}")
        if not _GAIN_RANGE[0] <= layout.codes_per_mv <= _GAIN_RANGE[1]:
            raise ConfigError(f"{layout.codes_per_mv:g} codes to a millivolt; expected a number such as 1000")
        if layout.bits not in (16, 24, 32):
            raise ConfigError(f"codes of {layout.bits} bits; expected 16, 24 or 32")
        if has_address(self.device):
            raise ConfigError(
                "a recording names no address of a device; give its name, or anonymous(address)"
            )

    @property
    def signal_name(self) -> str:
        """The lead. A strap on the chest is `chest`, whatever it says, so that nothing takes its record for lead I."""
        return "chest" if self.placement == "chest" else self.format.lead or "I"

    @property
    def invalid_code(self) -> int:
        """What the signal file has where a sample is missing; its format is as wide as the sensor's codes."""
        return INVALID[self.format.bits]

    @property
    def max_fill(self) -> int:
        """Samples that one gap takes in the signal file at most: a day of them."""
        return math.ceil(MAX_FILL_S * self.format.rate_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """First entry of the journal. wall_s: Unix time; host_s: this machine's monotonic clock at the same moment."""

    schema: int
    meta: RecordingMeta
    wall_s: float
    host_s: float

    def wall_time(self, host_s: float) -> datetime:
        """Date and time in UTC at `host_s`. Raises ConfigError where there is no such date."""
        wall_s = self.wall_s + (host_s - self.host_s)
        try:
            return datetime.fromtimestamp(wall_s, tz=UTC)
        except (ValueError, OverflowError, OSError) as exc:
            raise ConfigError(f"{wall_s:g} s is no time of a clock on the wall: {exc}") from exc

    def start_time(self, host_s: float) -> datetime:
        """As `wall_time`; the time of the beginning where there is no such date."""
        try:
            return self.wall_time(host_s)
        except ConfigError:
            return self.wall_time(self.host_s)


def anonymous(address: str) -> str:
    """A word that is the same for the same address of a device, in place of the address."""
    return f"device-{hashlib.sha256(address.strip().upper().encode()).hexdigest()[:12]}"


def has_address(text: str) -> bool:
    """Whether an address of a device can be read in `text`."""
    return _ADDRESS.search(text) is not None


def without_addresses(text: str) -> str:
    """`text` with `anonymous` in the place of each address."""
    return _ADDRESS.sub(lambda found: anonymous(re.sub("[_-]", ":", found.group())), text)


def folder_of(path: Path) -> Path:
    """The folder of the recording that `path` means: itself, one of its files, or their common name."""
    if path.name in FILES or (path.name == RECORD and not path.is_dir()):
        return path.parent
    return path


def is_recording(path: str | Path) -> bool:
    """Whether `path` is a recording, or a file of one, rather than a plain record."""
    return (folder_of(Path(path)) / JOURNAL).is_file()
