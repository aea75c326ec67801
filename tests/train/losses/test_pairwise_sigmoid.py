"""The pairwise loss equals its definition, pair by pair."""

from __future__ import annotations

import math

import pytest
import torch
from edge_mi.train.losses.pairwise_sigmoid import PairwiseSigmoidLoss


def slow(u: torch.Tensor, v: torch.Tensor, scale: float, bias: float) -> float:
    total = 0.0
    for i in range(len(u)):
        for j in range(len(v)):
            cosine = float(u[i] @ v[j] / (u[i].norm() * v[j].norm()))
            sign = 1.0 if i == j else -1.0
            total += math.log1p(math.exp(-sign * (scale * cosine + bias)))
    return total / len(u)


@pytest.mark.parametrize("bias", [-10.0, -2.5])
def test_it_equals_a_loop_over_all_pairs(bias: float) -> None:
    torch.manual_seed(0)
    u, v = torch.randn(7, 5), torch.randn(7, 5)
    loss = PairwiseSigmoidLoss(scale=3.0, bias=bias)
    assert float(loss(u, v).detach()) == pytest.approx(slow(u, v, 3.0, bias), rel=1e-5)


def test_without_bias_there_is_none_to_learn() -> None:
    torch.manual_seed(0)
    u, v = torch.randn(4, 3), torch.randn(4, 3)
    loss = PairwiseSigmoidLoss(bias=None)
    assert float(loss(u, v).detach()) == pytest.approx(slow(u, v, 1 / 0.07, 0.0), rel=1e-5)
    assert [name for name, _ in loss.named_parameters()] == ["log_scale"]


def test_the_scale_starts_where_it_is_set_and_is_learned_as_its_logarithm() -> None:
    loss = PairwiseSigmoidLoss()
    assert float(loss.log_scale.detach().exp()) == pytest.approx(1 / 0.07, rel=1e-6)
    loss(torch.eye(3), torch.eye(3)).backward()
    assert all(p.grad is not None for p in loss.parameters())


def test_pairs_of_unequal_number_are_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        PairwiseSigmoidLoss()(torch.eye(3), torch.eye(4))
