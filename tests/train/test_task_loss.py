"""The fine-tuning loss equals its definition, record by record."""

from __future__ import annotations

import math

import pytest
import torch
from edge_mi.train.config import TaskConfig
from edge_mi.train.targets import Targets
from edge_mi.train.task_loss import task_loss


def bce(logit: float, target: float, weight: float = 1.0) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -(weight * target * math.log(p) + (1 - target) * math.log(1 - p))


TARGETS = Targets(
    mi=torch.tensor([1.0, 0.0, 0.0]),
    codes=torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),
    code_names=("A", "B"),
    age=torch.tensor([0.5, -0.2, 0.0]),
    age_known=torch.tensor([1.0, 1.0, 0.0]),
    female=torch.tensor([1.0, 0.0, 0.0]),
    sex_known=torch.tensor([1.0, 1.0, 0.0]),
)
ROWS = torch.tensor([2, 0])
OUTPUTS = {
    "mi": torch.tensor([0.3, -0.7]),
    "codes": torch.tensor([[0.1, 0.2], [-0.4, 0.9]]),
    "person": torch.tensor([[0.8, 0.6], [-0.3, 1.1]]),
}
SOFT = torch.tensor([2.0, 0.0, -1.5])


def slow(config: TaskConfig, positive_weight: float) -> float:
    total = 0.0
    for place, row in enumerate(ROWS.tolist()):
        mi = float(OUTPUTS["mi"][place])
        total += bce(mi, float(TARGETS.mi[row]), positive_weight)
        total += config.distil * bce(mi, 1 / (1 + math.exp(-float(SOFT[row]))))
        for code in range(2):
            total += config.codes * bce(float(OUTPUTS["codes"][place, code]), float(TARGETS.codes[row, code]))
        if TARGETS.age_known[row]:
            age, sex = (float(value) for value in OUTPUTS["person"][place])
            total += config.person * (
                0.5 * (age - float(TARGETS.age[row])) ** 2 + bce(sex, float(TARGETS.female[row]))
            )
    return total / len(ROWS)


@pytest.mark.parametrize("positive_weight", [1.0, 2.1])
def test_it_equals_a_loop_over_the_records(positive_weight: float) -> None:
    config = TaskConfig(distil=0.7, codes=0.1, person=0.3)
    loss = task_loss(OUTPUTS, TARGETS, ROWS, config, positive_weight=positive_weight, soft_logits=SOFT)
    assert float(loss) == pytest.approx(slow(config, positive_weight), rel=1e-5)


def test_without_soft_labels_and_side_heads_the_label_remains() -> None:
    config = TaskConfig()
    loss = task_loss({"mi": OUTPUTS["mi"]}, TARGETS, ROWS, config, positive_weight=1.0)
    expected = (bce(0.3, 0.0) + bce(-0.7, 1.0)) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_unknown_age_and_sex_teach_nothing() -> None:
    config = TaskConfig(distil=0.0, codes=0.0, person=1.0)
    outputs = {"mi": torch.zeros(1), "person": torch.tensor([[5.0, 5.0]], requires_grad=True)}
    task_loss(outputs, TARGETS, torch.tensor([2]), config, positive_weight=1.0).backward()
    assert outputs["person"].grad is not None
    assert float(outputs["person"].grad.abs().sum()) == 0.0
