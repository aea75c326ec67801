"""What an int8 bundle is worth on PTB-XL, measured as the product answers: file, stream, detector, score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from edge_mi.train.data.ptbxl import read_table
from edge_mi.train.evaluate import tasks
from numpy.typing import NDArray

from edge_mi.bundle import Bundle
from edge_mi.checkpoint import Metric
from edge_mi.detector import Detector
from edge_mi.metrics import bootstrap_auroc, sensitivity_specificity
from edge_mi.progress import Progress
from edge_mi.score import Score, score_record
from edge_mi.store import LabelledRecords, RecordTable


@dataclass(frozen=True, slots=True)
class StreamedFold(LabelledRecords):
    """Records of one fold with the scores that the stream gave them, in the same order."""

    fold: int
    records: RecordTable
    scores: tuple[Score, ...]

    @property
    def judged(self) -> NDArray[np.int64]:
        """Positions of the records that got an answer, int64 (n,)."""
        return np.flatnonzero([score.logit is not None for score in self.scores]).astype(np.int64)


def stream_fold(bundle: Bundle, folder: Path, fold: int, *, rate_hz: int = 100) -> StreamedFold:
    """Score every record of `fold` in the PTB-XL `folder` through the detector of `bundle`."""
    table = read_table(folder, rate_hz)
    chosen = [i for i, record in enumerate(table.records) if record.fold == fold]
    detector = Detector(bundle)
    scores = []
    with Progress(len(chosen), f"streaming fold {fold}") as progress:
        for i in chosen:
            scores.append(score_record(detector, table.paths[i], table.records[i].record_id))
            progress.advance()
    return StreamedFold(fold, RecordTable.of(table.records[i] for i in chosen), tuple(scores))


def stream_metrics(bundle: Bundle, streamed: StreamedFold, command: str) -> tuple[Metric, ...]:
    """int8 figures of a streamed fold: AUROC in every comparison, and the default operating point as chosen."""
    judged = streamed.judged
    logits = np.array([streamed.scores[i].logit for i in judged], dtype=np.float64)
    withheld = len(streamed.scores) - len(judged)
    source = (
        f"PTB-XL fold {streamed.fold}, streamed from the files, {withheld} of {len(streamed.scores)} withheld"
    )
    position = {int(row): at for at, row in enumerate(judged)}
    metrics = []
    for task in tasks(streamed, judged):
        at = [position[int(row)] for row in task.rows]
        found = bootstrap_auroc(streamed.labels[task.rows], logits[at], streamed.patients[task.rows])
        metrics.append(
            Metric(
                name="auroc",
                task=task.name,
                arithmetic="int8",
                value=found.value,
                interval=(found.low, found.high),
                n=found.n,
                n_positive=found.n_positive,
                source=source,
                command=command,
            )
        )
    point = bundle.operating_point()
    p = np.array([streamed.scores[i].probability for i in judged], dtype=np.float64)
    labels = streamed.labels[judged]
    sensitivity, specificity = sensitivity_specificity(labels, p, point.threshold)
    for name, value, n in (
        ("sensitivity_at_operating_point", sensitivity, int(labels.sum())),
        ("specificity_at_operating_point", specificity, int((1 - labels).sum())),
    ):
        metrics.append(
            Metric(
                name=name,
                task="mi_vs_all",
                arithmetic="int8",
                value=value,
                interval=wilson(value, n),
                n=len(labels),
                n_positive=int(labels.sum()),
                source=source,
                command=command,
            )
        )
    return tuple(metrics)


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n. Source: Wilson, "Probable inference" (1927)."""
    z = 1.959964
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return (max(0.0, centre - half), min(1.0, centre + half))
