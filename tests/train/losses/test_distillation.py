"""The losses that a teacher gives equal their definitions, element by element, in value and gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from edge_mi.train.losses.feature import Distance, feature_loss
from edge_mi.train.losses.reconstruction import reconstruction_loss
from edge_mi.train.losses.response import response_loss
from torch import Tensor

STEP = 1e-5


def finite_differences(value_of: Callable[[Tensor], float], x: Tensor) -> Tensor:
    gradient = torch.zeros_like(x)
    for index in range(x.numel()):
        for sign in (1.0, -1.0):
            moved = x.detach().clone()
            moved.view(-1)[index] += sign * STEP
            gradient.view(-1)[index] += sign * value_of(moved) / (2 * STEP)
    return gradient


def check(loss_of: Callable[[Tensor], Tensor], slow_of: Callable[[Tensor], float], x: Tensor) -> None:
    loss = loss_of(x)
    assert float(loss.detach()) == pytest.approx(slow_of(x.detach()), rel=1e-9)
    (gradient,) = torch.autograd.grad(loss, x)
    torch.testing.assert_close(gradient, finite_differences(slow_of, x), rtol=1e-5, atol=1e-8)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_response(temperature: float) -> None:
    torch.manual_seed(0)
    x, teacher = normal(4, 3).requires_grad_(), normal(4, 3)

    def slow(logits: Tensor) -> float:
        total = 0.0
        for a, b in zip(logits.flatten().tolist(), teacher.flatten().tolist(), strict=True):
            p, q = 1 / (1 + math.exp(-a / temperature)), 1 / (1 + math.exp(-b / temperature))
            total -= q * math.log(p) + (1 - q) * math.log(1 - p)
        return temperature**2 * total / logits.numel()

    check(lambda logits: response_loss(logits, teacher, temperature), slow, x)


@pytest.mark.parametrize("distance", ["squared", "cosine"])
def test_feature(distance: Distance) -> None:
    torch.manual_seed(0)
    x, teacher = normal(4, 3).requires_grad_(), normal(4, 3)

    def slow(features: Tensor) -> float:
        total = 0.0
        for a, b in zip(features.tolist(), teacher.tolist(), strict=True):
            if distance == "squared":
                total += 0.5 * sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
            else:
                dot = sum(p * q for p, q in zip(a, b, strict=True))
                total += 1 - dot / (math.hypot(*a) * math.hypot(*b))
        return total / len(features)

    check(lambda features: feature_loss(features, teacher, distance), slow, x)


def test_reconstruction_counts_what_was_hidden_and_is_known() -> None:
    torch.manual_seed(0)
    x, target = normal(2, 3, 5).requires_grad_(), normal(2, 3, 5)
    counted = torch.rand(2, 3, 5) < 0.5
    target[~counted] = math.nan

    def slow(output: Tensor) -> float:
        errors = [
            (float(output[i, j, k]) - float(target[i, j, k])) ** 2 for i, j, k in counted.nonzero().tolist()
        ]
        return sum(errors) / len(errors)

    check(lambda output: reconstruction_loss(output, target, counted), slow, x)


def test_a_record_with_nothing_to_count_costs_nothing() -> None:
    x = torch.ones(1, 2, 3, requires_grad=True)
    loss = reconstruction_loss(x, torch.full((1, 2, 3), math.nan), torch.zeros(1, 2, 1, dtype=torch.bool))
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize("loss", [response_loss, feature_loss])
def test_no_gradient_goes_to_the_teacher(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    student, teacher = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    loss(student, teacher).backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert teacher.grad is None


def test_wrong_calls_are_named() -> None:
    with pytest.raises(ValueError, match="equal shapes"):
        response_loss(torch.ones(2), torch.ones(3))
    with pytest.raises(ValueError, match="temperature"):
        response_loss(torch.ones(2), torch.ones(2), 0.0)
    with pytest.raises(ValueError, match="equal shapes"):
        feature_loss(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match="equal shapes"):
        reconstruction_loss(torch.ones(1, 2, 3), torch.ones(1, 2, 4), torch.ones(1, 2, 3, dtype=torch.bool))
