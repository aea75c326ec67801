"""Records as the public collections lay them out, made of noise by the tests themselves."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_mi.records import write_wfdb
from edge_mi.records.leads import TWELVE_LEADS

INVALID = -32768
FRANK = ("vx", "vy", "vz")


def noise(n_leads: int, n: int, seed: int = 0) -> NDArray[np.int16]:
    """Codes int16 (n_leads, n); lead i lies around 100 * i, so that a wrong row is seen."""
    rng = np.random.default_rng(seed)
    around = 100 * np.arange(n_leads)[:, None]
    return (around + rng.integers(-40, 40, size=(n_leads, n))).astype(np.int16)


def with_comments(header: Path, comments: Sequence[str]) -> Path:
    """Append comment lines, written as given, to a header."""
    header.write_text(header.read_text() + "".join(f"{line}\n" for line in comments))
    return header


def wfdb_record(
    folder: Path,
    name: str,
    *,
    leads: Sequence[str] = TWELVE_LEADS,
    rate_hz: int = 500,
    n: int | None = None,
    comments: Sequence[str] = (),
    codes: NDArray[np.int16] | None = None,
    gain_per_mv: float = 1000,
) -> Path:
    """A record in format 16, 10 s long unless `n` says otherwise; its header."""
    folder.mkdir(parents=True, exist_ok=True)
    codes = noise(len(leads), n or 10 * rate_hz) if codes is None else codes
    return with_comments(write_wfdb(folder, name, leads, codes, rate_hz, gain_per_mv), comments)


def mat_record(
    folder: Path,
    name: str,
    *,
    leads: Sequence[str] = TWELVE_LEADS,
    rate_hz: int = 500,
    n: int | None = None,
    comments: Sequence[str] = (),
    unit: str = "mV",
) -> Path:
    """A record of the CinC challenges: a MATLAB v4 matrix whose 24 bytes of header the format's offset skips."""
    header = wfdb_record(folder, name, leads=leads, rate_hz=rate_hz, n=n, comments=comments)
    data = header.with_suffix(".dat")
    samples = data.stat().st_size // 2 // len(leads)
    head = struct.pack("<5i", 30, len(leads), samples, 0, 4) + b"val\0"
    header.with_suffix(".mat").write_bytes(head + data.read_bytes())
    data.unlink()
    text = header.read_text().replace(f"{name}.dat 16 ", f"{name}.mat 16x1+24 ").replace("/mV", f"/{unit}")
    header.write_text(text)
    return header


def ptbdb_record(folder: Path, name: str, *, n: int = 10_000, comments: Sequence[str] = ()) -> Path:
    """A record of PTBDB: twelve leads in lower case in a .dat file, the Frank leads in a .xyz file."""
    header = wfdb_record(folder, name, leads=[lead.lower() for lead in TWELVE_LEADS], rate_hz=1000, n=n)
    frank = wfdb_record(folder, f"{name}_frank", leads=FRANK, rate_hz=1000, n=n)
    frank.with_suffix(".dat").rename(header.with_suffix(".xyz"))
    lines = header.read_text().splitlines()
    lines[0] = lines[0].replace(f"{name} 12 ", f"{name} 15 ")
    lines += [line.replace(f"{name}_frank.dat", f"{name}.xyz") for line in frank.read_text().splitlines()[1:]]
    frank.unlink()
    header.write_text("".join(f"{line}\n" for line in lines))
    return with_comments(header, comments)


def ptbdb_comments(
    reason: str,
    *,
    acute: str = "no",
    former: str = "no",
    additional: str = "no",
    recorded: str = "01/10/1990",
    infarcted: str = "n/a",
) -> list[str]:
    """The comments of a PTBDB header, as far as they are read, with two that repeat a name."""
    return [
        "# age: 81",
        "# sex: female",
        f"# ECG date: {recorded}",
        "",
        "# Diagnose:",
        f"# Reason for admission: {reason}",
        f"# Acute infarction (localization): {acute}",
        f"# Former infarction (localization): {former}",
        f"# Additional diagnoses: {additional}",
        f"# Infarction date (acute): {infarcted}",
        "# Therapy:",
        "# Infarction date: 01-Jan-70",
        "# Peripheral blood Pressure (syst/diast):  140/80 mmHg",
    ]
