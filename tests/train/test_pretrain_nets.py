"""How a signal enters an encoder, and what the stages of pre-training learn from it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from edge_mi.train.distributed import ALONE
from edge_mi.train.losses.pairwise_sigmoid import PairwiseSigmoidLoss
from edge_mi.train.net1d import Net1D, Net1DConfig
from edge_mi.train.pretrain_nets import (
    MaskedLeads,
    SelfAligner,
    SignalInput,
    TaughtTeacher,
    body_of,
    features_of,
    hidden_leads,
    make_encoder,
)

EVERYWHERE = torch.ones(2, 12, 1000, dtype=torch.bool)


def test_millivolts_enter_as_they_are() -> None:
    signals = torch.randn(2, 12, 1000)
    assert torch.equal(SignalInput("mv", 100)(signals, EVERYWHERE), signals)


def test_zscore_is_one_scale_for_all_leads_of_a_record_and_ignores_missing_samples() -> None:
    torch.manual_seed(0)
    # at 500 Hz nothing is resampled, so that the definition can be written down
    signals = torch.randn(2, 12, 1000) * torch.linspace(0.1, 2, 12)[:, None] + 0.3
    present = EVERYWHERE.clone()
    present[1, 3, 100:500] = False
    signals[~present] = 0.0
    found = SignalInput("zscore", 500)(signals, present)
    for i in range(2):
        known = signals[i][present[i]].numpy()
        expected = (signals[i].numpy() - known.mean()) / (known.std() + 1e-8)
        expected[~present[i].numpy()] = 0.0
        np.testing.assert_allclose(found[i].numpy(), expected, atol=1e-5)


def test_a_flat_record_stays_flat() -> None:
    flat = SignalInput("zscore", 100)(torch.full((2, 12, 1000), 0.5), EVERYWHERE)
    assert not flat.any()


@pytest.mark.parametrize("hz", [1.0, 10.0, 35.0])
def test_zscore_brings_100_hz_to_500_hz_without_a_shift(hz: float) -> None:
    t_s = torch.arange(1000) / 100
    signals = torch.sin(2 * torch.pi * hz * t_s).expand(2, 12, -1)
    found = SignalInput("zscore", 100)(signals, EVERYWHERE)
    assert found.shape == (2, 12, 5000)
    expected = np.sqrt(2) * torch.sin(2 * torch.pi * hz * torch.arange(5000) / 500)
    inside = slice(200, -200)  # the kernel reaches 0.2 s
    assert float((found[0, 0] - expected)[inside].abs().max()) < 0.01


def test_a_rate_that_does_not_divide_500_hz_is_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="500 Hz is no multiple of 128 Hz"):
        SignalInput("zscore", 128)


def test_hidden_leads_are_about_half_and_never_none_or_all() -> None:
    draws = torch.randint(0, 2**32, (4000,), generator=torch.Generator().manual_seed(0))
    draws[0], draws[1] = 0, 2**32 - 1
    hidden = hidden_leads(draws, 12)
    assert hidden[0].sum() == 1
    assert hidden[1].sum() == 11
    assert hidden.any(1).all()
    assert not hidden.all(1).any()
    assert 0.47 < hidden.float().mean() < 0.53


def test_hidden_leads_are_not_seen_and_only_they_are_judged() -> None:
    torch.manual_seed(0)
    module = MaskedLeads("net1d-small", 12)
    signals, draws = torch.randn(1, 12, 1000), torch.tensor([0b000000000111])
    present = torch.ones(1, 12, 1000, dtype=torch.bool)
    signals.requires_grad_()
    frames = module.encoder.frames(signals.masked_fill(hidden_leads(draws, 12)[:, :, None], 0.0))
    (seen,) = torch.autograd.grad(frames.sum(), signals)
    assert not seen[0, :3].any()
    assert seen[0, 3:].any(1).all()
    with torch.no_grad():
        before = module(signals, present, draws)
        other = signals.clone()
        other[0, 0, 5] += 1.0  # a hidden sample: an aim
        assert not torch.isclose(module(other, present, draws), before, rtol=1e-6)
        present[0, 0, 5] = False  # it is missing in the record
        torch.testing.assert_close(module(other, present, draws), module(signals, present, draws))


@pytest.mark.parametrize("name", ["net1d-small", "67k"])
def test_every_trained_tensor_of_an_aligner_gets_a_gradient_and_heads_none(name: str) -> None:
    torch.manual_seed(0)
    aligner = SelfAligner(make_encoder(name), 96, PairwiseSigmoidLoss(), ALONE)
    aligner(torch.randn(4, 1, 983), torch.randn(4, 96)).backward()
    for tensor, parameter in aligner.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, tensor
    assert not any(tensor.startswith(("dense", "head", "side")) for tensor in body_of(aligner.encoder))


def test_the_teachers_side_is_left_alone_and_a_student_of_its_size_too() -> None:
    same = SelfAligner(make_encoder("net1d-small"), 208, PairwiseSigmoidLoss(), ALONE)
    assert features_of(same.encoder) == 208
    assert {name.partition(".")[0] for name, _ in same.named_parameters()} == {"encoder", "loss"}


def test_a_taught_teacher_has_an_output_for_each_target() -> None:
    outputs = TaughtTeacher("net1d-small", 12, codes=3)(torch.randn(2, 12, 500))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "mi": (2,),
        "codes": (2, 3),
        "person": (2, 2),
    }
    assert "codes" not in TaughtTeacher("net1d-small", 12, codes=0)(torch.randn(2, 12, 500))


def test_a_compiled_encoder_has_the_same_names_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and differentiated by torch.compile; writing C++ for it, which takes a minute, is left out."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    gradients = []
    for compiled in (False, True):
        torch.manual_seed(0)
        net = Net1D(Net1DConfig(first=8, filters=(8,), blocks=(1,), group_width=8, kernel=4))
        aligner = SelfAligner(net, 8, PairwiseSigmoidLoss(), ALONE, compiled=compiled)
        aligner(torch.randn(4, 1, 64), torch.randn(4, 8)).backward()
        gradients.append({name: p.grad for name, p in aligner.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)
