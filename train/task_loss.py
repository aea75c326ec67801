"""The supervised loss of teacher and student: MI, the teacher's soft labels, and the side targets."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .config import TaskConfig
from .losses.response import response_loss
from .targets import Targets


def task_loss(
    outputs: Mapping[str, Tensor],
    targets: Targets,
    rows: Tensor,
    config: TaskConfig,
    *,
    positive_weight: float,
    soft_logits: Tensor | None = None,
) -> Tensor:
    """Scalar loss of a batch of records `rows` (in nats, apart from the squared error of the scaled age).

    BCE(mi) with positives weighted + distil * response_loss(mi, soft_logits) + codes * the sum of BCE over the
    statements + person * (0.5 * squared error of age + BCE(sex)). outputs: logits of the batch; soft_logits:
    float32 over all records, for example a teacher's out-of-fold logits, or None.
    Distillation is at temperature 1, and out-of-fold, because in-sample logits are the labels again.
    """
    logits = outputs["mi"]
    loss = F.binary_cross_entropy_with_logits(
        logits, targets.mi[rows], pos_weight=logits.new_tensor(positive_weight)
    )
    if soft_logits is not None and config.distil > 0:
        loss = loss + config.distil * response_loss(logits, soft_logits[rows])
    if "codes" in outputs and config.codes > 0:
        each = F.binary_cross_entropy_with_logits(outputs["codes"], targets.codes[rows], reduction="none")
        loss = loss + config.codes * each.sum(1).mean()
    if "person" in outputs and config.person > 0:
        loss = loss + config.person * _person_loss(outputs["person"], targets, rows)
    return loss


def _person_loss(outputs: Tensor, targets: Targets, rows: Tensor) -> Tensor:
    age = ((outputs[:, 0] - targets.age[rows]).square() * targets.age_known[rows]).mean()
    sex = F.binary_cross_entropy_with_logits(
        outputs[:, 1], targets.female[rows], weight=targets.sex_known[rows]
    )
    return 0.5 * age + sex
