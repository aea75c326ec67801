"""The whole path in one go: export, benchmark, then a stream from an emulated Polar H10 over a virtual radio link.

Run by `make demo`. It types what a user would type and shows what a user would see.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edge_mi import synthetic

from .emulated import emulated_h10

_HEALTHY_S, _INFARCT_S = 30.0, 45.0
_SENSOR_HZ = 130
_BPM = 75


def main() -> int:
    """Run the three steps; the exit code of the first that fails, else 0."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edge-mi-demo-") as folder:
        work = Path(folder)
        out = work / "bundle"
        for step, words in enumerate(
            (["export", "--int8", "--out", str(out)], ["bench", str(out), "--rounds", "300"]), start=1
        ):
            _title(step, words)
            code = subprocess.run([*_program(), *words], check=False).returncode
            if code:
                return code
        code = _stream(work, out)
    print(f"\nThe demo took {time.monotonic() - started:.0f} s. Next: edge-mi --help, or README.md.")
    return code


def _program() -> list[str]:
    return [sys.executable, "-m", "edge_mi"]


def _title(step: int, words: list[str]) -> None:
    print(f"\n=== {step}/3  $ edge-mi {shlex.join(words)}\n", flush=True)


def _stream(work: Path, bundle: Path) -> int:
    record = work / "heart.csv"
    _write_record(record)
    link = f"unix:{work / 'hci'}"
    seconds = _HEALTHY_S + _INFARCT_S
    words = [
        "stream", str(bundle), "--device", "Polar H10", "--link", link, "--placement", "lead-i",
        "--seconds", f"{seconds:g}",
    ]  # fmt: skip
    _title(3, words)
    print(
        f"A synthetic heart, {_HEALTHY_S:g} s healthy, then {_INFARCT_S:g} s with an inferior infarct, is served as a "
        f"Polar H10 by\n  $ edge-mi emulate h10 heart.csv --speed 0 --link {link}\n"
        "It was chosen so that both states can be seen; how good the detector is on real hearts stands at the end.\n",
        flush=True,
    )
    with emulated_h10(record, work / "hci"):
        return subprocess.run([*_program(), *words], check=False).returncode


def _write_record(path: Path) -> None:
    parts = [
        synthetic.ecg(seconds, rate_hz=_SENSOR_HZ, territory=territory, heart_rate_bpm=_BPM, seed=1).lead("I")
        for seconds, territory in ((_HEALTHY_S, "none"), (_INFARCT_S, "inferior"))
    ]
    microvolts = np.rint(np.concatenate(parts) * 1000).astype(int)
    rows = [f"{i / _SENSOR_HZ:.9f},{value}" for i, value in enumerate(microvolts)]
    path.write_text("\n".join(["t_s,I_uV", *rows]) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
