"""What is run on both machines, on which records: synthetic ones of every rate, and real ones where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edge_mi.data_folder import data_folder
from edge_mi.records import list_records
from edge_mi.runners.base import RUNNER_NAMES
from edge_mi.samples import FloatArray
from edge_mi.synthetic import TERRITORIES, ecg

STDOUT, EXIT_CODE = "standard output", "exit code"
_LIST: Final = "records.txt"
_LONG: Final = "synthetic/long.csv"
_RATES_HZ: Final = (125, 128, 130, 250, 300, 360, 500, 1000)
_SECONDS: Final = 14.0
_REAL: Final = ("cinc2017", "cinc2021", "ludb", "ptbdb", "polar_h10", "ptbxl/records500", "ptbxl/records100")
REAL_EACH, QUICK_REAL_EACH = 25, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A module with its arguments, run in a folder beside that of the records.

    made: the file or folder that it writes; without one its standard output is the result. counts: what that is
    made of, `lines`, `records`, `decisions` or `files`. slow: one processor is enough.
    """

    name: str
    words: tuple[str, ...]
    module: str = "edge_mi"
    made: str | None = None
    counts: str
    slow: bool = False

    def count(self, outputs: Mapping[str, bytes]) -> int:
        """How much was compared: records and decisions without the line above them."""
        if self.counts == "files":
            return sum(name.startswith(f"{self.made}/") for name in outputs)
        lines = outputs[self.made or STDOUT].count(b"\n")
        return lines if self.counts == "lines" else lines - 1


def write_records(folder: Path, *, real_each: int) -> tuple[int, int]:
    """Write the synthetic records and the list of all; how many are synthetic and how many real.

    real_each: how many of each set of real ones at most; they are named through a link, so that no path of this
    machine gets into a result. Among the synthetic ones are a flat line, one with samples missing, and a file that
    is no record.
    """
    (folder / "synthetic").mkdir()
    names = [f"synthetic/{name}.csv" for name in _write_synthetic(folder / "synthetic")]
    real: list[str] = []
    if data_folder().is_dir():
        (folder / "real").symlink_to(data_folder().resolve())
        real += [path.relative_to(folder).as_posix() for path in _real_records(folder / "real", real_each)]
    (folder / _LIST).write_text("\n".join([*names, *real]) + "\n", encoding="utf-8")
    return len(names), len(real)


def tasks(records: Path, *, quick: bool) -> list[Task]:
    """Everything that is compared; `records` is the folder of `write_records`."""
    listed, long = f"../{records.name}/{_LIST}", f"../{records.name}/{_LONG}"
    found = [Task(name="info --verify", words=("info", "--verify"), counts="lines")]
    for runner in RUNNER_NAMES:
        out = f"scores-{runner}.csv"
        jobs = "2" if runner == "litert" else "1"  # once with worker processes
        words: tuple[str, ...] = ("score", listed, "--runner", runner, "--out", out, "--jobs", jobs)
        found.append(Task(name=f"score, {runner}", words=words, made=out, counts="records"))
    for runner in RUNNER_NAMES:
        words = ("stream", "--replay", long, "--runner", runner, "--json")
        found.append(Task(name=f"stream --replay, {runner}", words=words, counts="decisions"))
    found.append(
        Task(
            name="stream --replay --whole-window, litert",
            words=("stream", "--replay", long, "--whole-window", "--runner", "litert", "--json"),
            counts="decisions",
        )
    )
    for record in _real_streams(records):
        words = ("stream", "--replay", f"../{records.name}/{record}", "--json")
        found.append(Task(name=f"stream --replay, {record}", words=words, counts="decisions"))
    found.append(
        Task(name="files of export --int8", words=("files",), module="edge_mi.benchmarks.arm_bundle", made="files",
             counts="files")
    )  # fmt: skip
    if not quick:
        words = ("export", "--int8", "--out", "bundle")
        found.append(Task(name="export --int8", words=words, made="bundle", counts="files", slow=True))
    return found


def _write_synthetic(folder: Path) -> Iterator[str]:
    for rate_hz in _RATES_HZ:
        for territory in TERRITORIES:
            name = f"{territory}-{rate_hz}"
            one = ecg(
                _SECONDS, rate_hz=rate_hz, territory=territory, heart_rate_bpm=50 + rate_hz % 47, seed=rate_hz
            )
            _write_csv(folder / f"{name}.csv", one.lead("I"), rate_hz)
            yield name
    long = np.concatenate(
        [ecg(30.0, rate_hz=130, territory=name, seed=7).lead("I") for name in ("none", "anterior", "none")]
    )
    long[5000:5200] = np.nan
    _write_csv(folder / "long.csv", long, 130)
    _write_csv(folder / "flat.csv", np.zeros(1500), 130)
    (folder / "no-record.csv").write_text("t_s,ecg_mV\n0.0,high\n", encoding="utf-8")
    yield from ("long", "flat", "no-record")


def _write_csv(path: Path, samples_mv: FloatArray, rate_hz: int) -> None:
    rows = [f"{i / rate_hz:.6f},{value:.5f}" for i, value in enumerate(samples_mv)]
    path.write_text("\n".join(["t_s,ecg_mV", *rows]) + "\n", encoding="utf-8")


def _real_records(data: Path, each: int) -> Iterator[Path]:
    for name in _REAL:
        if (data / name).is_dir():
            records = list_records(data / name)
            for _, path in records[:: max(1, -(-len(records) // each))]:
                yield path


def _real_streams(records: Path) -> list[str]:
    """The first real record of each of the small sets: other rates, other patches, minutes instead of seconds."""
    lines = (records / _LIST).read_text(encoding="utf-8").splitlines()
    starts = [f"real/{name}/" for name in ("cinc2017", "ptbdb", "polar_h10")]
    first = [next((line for line in lines if line.startswith(start)), None) for start in starts]
    return [line for line in first if line is not None]
