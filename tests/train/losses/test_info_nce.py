"""The contrastive loss and its gradients equal a loop over all pairs."""

from __future__ import annotations

import math

import pytest
import torch
from edge_mi.train.losses.info_nce import InfoNCELoss
from edge_mi.train.losses.pairwise_sigmoid import PairwiseSigmoidLoss
from torch import Tensor


def one_way(u: Tensor, v: Tensor, scale: Tensor) -> Tensor:
    total = torch.zeros((), dtype=u.dtype)
    for i in range(len(u)):
        scores = [scale * (u[i] @ w) / (u[i].norm() * w.norm()) for w in v]
        total = total - torch.log(torch.exp(scores[i]) / sum(torch.exp(score) for score in scores))
    return total / len(u)


def sigmoid_loop(u: Tensor, v: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    total = torch.zeros((), dtype=u.dtype)
    for i in range(len(u)):
        for j in range(len(v)):
            cosine = (u[i] @ v[j]) / (u[i].norm() * v[j].norm())
            sign = 1.0 if i == j else -1.0
            total = total + torch.log1p(torch.exp(-sign * (scale * cosine + bias)))
    return total / len(u)


def pairs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return tuple(torch.randn(2, 6, 4, dtype=torch.float64).requires_grad_().unbind())


@pytest.mark.parametrize("symmetric", [True, False])
def test_value_and_gradients_equal_a_loop_over_all_pairs(symmetric: bool) -> None:
    u, v = pairs()
    loss = InfoNCELoss(scale=3.0, symmetric=symmetric).double()
    log_scale = torch.tensor(math.log(3.0), dtype=torch.float64, requires_grad=True)
    slow = one_way(u, v, log_scale.exp())
    if symmetric:
        slow = (slow + one_way(v, u, log_scale.exp())) / 2
    expected = torch.autograd.grad(slow, [u, v, log_scale])
    fast = loss(u, v)
    found = torch.autograd.grad(fast, [u, v, loss.log_scale])
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=0.0)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_gradients_of_the_sigmoid_loss_equal_those_of_its_loop() -> None:
    u, v = pairs()
    loss = PairwiseSigmoidLoss(scale=3.0, bias=-2.0).double()
    log_scale = torch.tensor(math.log(3.0), dtype=torch.float64, requires_grad=True)
    bias = torch.tensor(-2.0, dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad(sigmoid_loop(u, v, log_scale.exp(), bias), [u, v, log_scale, bias])
    found = torch.autograd.grad(loss(u, v), [u, v, *loss.parameters()])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


def test_the_scale_is_bounded() -> None:
    torch.manual_seed(1)
    u, v = torch.randn(5, 3), torch.randn(5, 3)
    assert float(InfoNCELoss(scale=1e4)(u, v).detach()) == float(InfoNCELoss(scale=100.0)(u, v).detach())


def test_pairs_of_unequal_number_are_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        InfoNCELoss()(torch.eye(3), torch.eye(4))
