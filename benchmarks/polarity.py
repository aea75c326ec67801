"""How often the polarity check errs: out of fold on PTB-XL, on other lead I, and what slips through it.

Run by `python -m edge_mi.benchmarks.polarity STORE`, where STORE is what `edge-mi data build ptbxl` wrote.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from edge_mi.train.data.ptbxl import read_table
from edge_mi.train.polarity import PolarityConfig, beats_of, inverted_limit, learn_check, out_of_fold
from numpy.typing import NDArray

from edge_mi import strict
from edge_mi.bundle import Bundle
from edge_mi.data_folder import data_folder
from edge_mi.detector import Detector
from edge_mi.errors import ConfigError
from edge_mi.files import check_place, write_file
from edge_mi.heartbeats import BEAT_BEFORE_S
from edge_mi.metrics import bootstrap_auroc
from edge_mi.netspec import NetSpec
from edge_mi.polarity import PolarityMode, correlation_permille
from edge_mi.progress import Progress
from edge_mi.records import read_record
from edge_mi.records.record import Record
from edge_mi.score import Score, score_signal
from edge_mi.shipped import shipped_bundle
from edge_mi.sources import chunks_of
from edge_mi.store import StoredRecord, WindowStore

from .accuracy import wilson

SCHEMA: Final = 1
RESULT: Final = Path(__file__).resolve().parent / "results" / "polarity.json"
COMMAND: Final = "edge-mi data build ptbxl --out STORE && python -m edge_mi.benchmarks.polarity STORE"
FOLDS: Final = range(1, 10)
TEST_FOLD: Final = 9  # the model and the check that ship saw nothing of it
CAUGHT: Final = (0.90, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99)
RIDGES: Final = (0.03, 0.1, 0.3, 1.0)
_LATERAL: Final = frozenset({"LMI", "ALMI", "ILMI", "IPLMI", "INJLA", "INJAL", "INJIL"})
_OTHERS: Final = {  # folder -> (records, what they are); those of cinc2021 that PTB-XL lent are left out
    "cinc2017": ("*.mat", "hand-held, 300 Hz"),
    "ptbdb": ("**/*.hea", "12 leads, 1000 Hz, one patient with an infarct"),
    "ludb": ("*.hea", "12 leads, 500 Hz"),
    "cinc2021": ("[EJ]*.hea", "12 leads, 500 Hz, from Georgia and Ningbo"),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """Records with beats: their summed beats int64 (n, samples) at `rate_hz`, and who they are."""

    rate_hz: int
    beats: NDArray[np.int64]
    records: tuple[StoredRecord, ...]
    without_beats: int

    @property
    def folds(self) -> NDArray[np.int64]:
        """Folds, int64 (n,)."""
        return np.array([record.fold for record in self.records])


def main() -> int:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()
    check_place(args.out)
    bundle = Bundle.load(shipped_bundle())
    store = WindowStore.open(args.store)
    store.check_filter(bundle.info.signal)
    write_file(args.out, strict.dumps(measure(bundle, store, data_folder())).encode())
    return 0


def measure(bundle: Bundle, store: WindowStore, data: Path) -> dict[str, Any]:
    """The result: `data` is the folder that holds ptbxl and the other records."""
    check = bundle.info.polarity
    if check is None:
        raise ConfigError(f"{bundle.path} has no polarity check to measure")
    judged = judged_records(store, bundle.info.net)
    source = store.manifest.source
    return {
        "schema": SCHEMA,
        "model": bundle.model_id,
        "records": f"{source.name}, folds 1 to 9, lead I, the first {bundle.info.net.window_s:g} s of each record",
        "label_rule": source.label_rule,
        "n": len(judged.records),
        "without_beats": judged.without_beats,
        "shipped": {
            "inverted_permille": check.inverted_permille,
            "upright_permille": check.upright_permille,
            "memory_s": check.memory_s,
        },
        "out_of_fold": out_of_fold_rates(judged),
        "limits": limits(judged),
        "infarction": infarction(bundle, data / "ptbxl"),
        "other_records": other_records(bundle, data),
        "command": COMMAND,
    }


def judged_records(store: WindowStore, net: NetSpec) -> Judged:
    """The records of folds 1 to 9 with beats in lead I."""
    rows = store.rows_of(FOLDS)
    found = beats_of(store, rows, net)
    kept = [i for i, beat in enumerate(found) if beat is not None]
    return Judged(
        net.rate_hz,
        np.array([found[i] for i in kept], dtype=np.int64),
        tuple(store.records[int(rows[i])] for i in kept),
        len(found) - len(kept),
    )


def out_of_fold_rates(judged: Judged) -> list[dict[str, Any]]:
    """Each group's rates; table and limit of a fold come from the other eight."""
    scores, limit = np.zeros(len(judged.records), np.int64), np.zeros(len(judged.records), np.int64)
    with Progress(len(FOLDS), "polarity, fold by fold") as progress:
        for fold in FOLDS:
            others = judged.folds != fold
            check = learn_check(judged.beats[others], judged.folds[others], "the other folds")
            for i in np.flatnonzero(~others):
                scores[i] = correlation_permille(judged.beats[i].tolist(), check.weights)
            limit[~others] = check.inverted_permille
            progress.advance()
    refused, caught = scores <= limit, -scores <= limit
    return [
        {"group": name, "n": int(mask.sum()), "n_mi": sum(bool(r.mi) for r in _chosen(judged, mask)),
         "refused": _share(refused[mask], _chosen(judged, mask)), "caught": _share(caught[mask], _chosen(judged, mask))}
        for name, mask in groups(judged).items()
    ]  # fmt: skip


def groups(judged: Judged) -> dict[str, NDArray[np.bool_]]:
    """Who the rates are told of, bool (n,) each."""

    def of(test: Callable[[StoredRecord], bool]) -> NDArray[np.bool_]:
        return np.array([test(record) for record in judged.records])

    at_r_peak = round(BEAT_BEFORE_S * judged.rate_hz)
    negative = judged.beats[:, at_r_peak] < judged.beats.mean(axis=1)
    mi, lateral = of(lambda r: bool(r.mi)), of(lambda r: not _LATERAL.isdisjoint(r.codes))
    norm = of(lambda r: bool(r.norm))
    return {
        "all": np.full(len(mi), True),
        "MI": mi,
        "MI of the lateral wall": mi & lateral,
        "MI elsewhere": mi & ~lateral,
        "normal": norm & ~mi,
        "other abnormal": ~norm & ~mi,
        "QRS points down": negative,
        "QRS points down, MI": negative & mi,
        "QRS points down, no MI": negative & ~mi,
        "left posterior fascicular block": of(lambda r: "LPFB" in r.codes),
        "left bundle branch block": of(lambda r: "CLBBB" in r.codes),
        "paced": of(lambda r: "PACE" in r.codes),
    }


def limits(judged: Judged) -> list[dict[str, Any]]:
    """What other limits and other ridges would have done, limits chosen on the very scores: for the choice only."""
    found, rows = groups(judged), []
    mi, negative = found["MI"], found["QRS points down"]
    for ridge in RIDGES:
        scores = out_of_fold(judged.beats, judged.folds, PolarityConfig(ridge=ridge))
        for caught in CAUGHT if ridge == PolarityConfig().ridge else (PolarityConfig().caught,):
            limit = inverted_limit(scores, caught)
            refused = scores <= limit
            rows.append(
                {
                    "ridge": ridge, "aim": caught, "limit_permille": limit, "caught": float(np.mean(-scores <= limit)),
                    "refused": int(refused.sum()), "n": len(scores), "refused_mi": int(refused[mi].sum()),
                    "n_mi": int(mi.sum()), "refused_negative_qrs": int(refused[negative].sum()),
                    "n_negative_qrs": int(negative.sum()),
                }
            )  # fmt: skip
    return rows


def infarction(bundle: Bundle, folder: Path) -> list[dict[str, Any]]:
    """AUROC of MI on the test fold through the detector: as it is and turned over, unchecked and checked."""
    table = read_table(folder)
    chosen = [i for i, record in enumerate(table.records) if record.fold == TEST_FOLD]
    rows: list[dict[str, Any]] = []
    modes: tuple[PolarityMode, ...] = ("trust", "check")
    for mode in modes:
        detector = Detector(bundle, polarity=mode)
        for sign in (1, -1):
            scores = []
            with Progress(len(chosen), f"fold {TEST_FOLD}, {mode}, {sign:+d}") as progress:
                for i in chosen:
                    scores.append(_scored(detector, read_record(table.paths[i]), sign))
                    progress.advance()
            rows.append(
                {"records": "as they are" if sign > 0 else "turned over", "polarity": mode}
                | _infarction_row(bundle, [table.records[i] for i in chosen], scores)
            )
    return rows


def _infarction_row(
    bundle: Bundle, records: Sequence[StoredRecord], scores: Sequence[Score]
) -> dict[str, Any]:
    answered = [i for i, score in enumerate(scores) if score.logit is not None]
    labels = np.array([bool(records[i].mi) for i in answered], dtype=np.int64)
    positive = np.array([scores[i].state == "positive" for i in answered], dtype=bool)
    logits = np.array([scores[i].logit for i in answered], dtype=np.float64)
    found = None
    if 0 < labels.sum() < len(labels):
        found = bootstrap_auroc(labels, logits, [records[i].patient_id for i in answered])
    return {
        "n": len(scores),
        "inverted": sum(score.reason == "inverted" for score in scores),
        "answered": len(answered),
        "answered_mi": int(labels.sum()),
        "positive": int(positive.sum()),
        "positive_mi": int(positive[labels == 1].sum()),
        "auroc": None if found is None else {"value": found.value, "interval": [found.low, found.high]},
        "operating_point": bundle.operating_point().name,
    }


def other_records(bundle: Bundle, data: Path) -> list[dict[str, Any]]:
    """Lead I of other sources, by record and by window of the stream, as it is and turned over."""
    detector = Detector(bundle)
    rows = []
    for folder, (pattern, what) in _OTHERS.items():
        found = [_windows(detector, record) for record in _records(data / folder, pattern)]
        upright, over = [ways[0] for ways in found], [ways[1] for ways in found]
        rows.append(
            {
                "source": folder, "what": what, "records": len(found),
                "records_refused": sum(_mostly(each) for each in upright),
                "records_caught": sum(_mostly(each) for each in over),
                "windows": sum(map(len, upright)), "windows_refused": sum(map(sum, upright)),
                "windows_over": sum(map(len, over)), "windows_caught": sum(map(sum, over)),
            }
        )  # fmt: skip
    return rows


def _records(folder: Path, pattern: str) -> Iterator[Record]:
    for path in sorted(folder.glob(pattern)):
        yield read_record(path)


def _windows(detector: Detector, record: Record) -> tuple[list[bool], list[bool]]:
    """For each window that could be judged, whether it was withheld as upside down: as it is, and turned over."""
    ways = []
    for sign in (1, -1):
        found = detector.stream(
            chunks_of(sign * np.asarray(record.samples_mv, dtype=np.float64), record.rate_hz)
        )
        ways.append([d.reason == "inverted" for d in found if d.reason in (None, "inverted")])
    return ways[0], ways[1]


def _mostly(withheld: list[bool]) -> bool:
    return 2 * sum(withheld) >= max(1, len(withheld))


def _scored(detector: Detector, record: Record, sign: int) -> Score:
    turned = Record(
        name=record.name, lead=record.lead, samples_mv=sign * record.samples_mv, rate_hz=record.rate_hz
    )
    return score_signal(detector, turned, record.name)


def _chosen(judged: Judged, mask: NDArray[np.bool_]) -> list[StoredRecord]:
    return [judged.records[i] for i in np.flatnonzero(mask)]


def _share(hits: NDArray[np.bool_], records: Sequence[StoredRecord]) -> dict[str, Any]:
    """A share of records; its interval counts patients, since the records of one repeat each other."""
    if len(hits) == 0:
        return {"count": 0, "value": None, "interval": None}
    share = float(hits.mean())
    patients = len({record.patient_id for record in records})
    return {"count": int(hits.sum()), "value": share, "interval": list(wilson(share, patients))}


if __name__ == "__main__":
    raise SystemExit(main())
