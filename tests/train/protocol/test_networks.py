"""Encoders, what they write back, and the leads that masking takes away."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from edge_mi.train.losses.pairwise_sigmoid import PairwiseSigmoidLoss
from edge_mi.train.patchnet import PatchNet
from edge_mi.train.protocol.config import PretrainSection
from edge_mi.train.protocol.decoder import Decoder
from edge_mi.train.protocol.encoders import ENCODERS, PatchEncoder, count_parameters, make_encoder
from edge_mi.train.protocol.finetune import drop_leads
from edge_mi.train.protocol.generative import Generator
from edge_mi.train.protocol.heads import protocol_targets
from edge_mi.train.protocol.pretrain import Alignment, AlignmentAndLabels, Labels, MaskedReconstruction
from label_store import infarct_store

from edge_mi.netspec import SIZES, NetSpec

NAME = "patchnet-15k"


def test_an_encoder_begins_alike_for_every_method() -> None:
    first, second = make_encoder(NAME, 1, 4), make_encoder(NAME, 1, 4)
    other = make_encoder(NAME, 1, 5)
    x = torch.randn(2, 1, 400)
    assert torch.equal(first.eval()(x), second.eval()(x))
    assert not torch.equal(first(x), other.eval()(x))


@pytest.mark.parametrize("spec", SIZES.values(), ids=SIZES)
def test_parameters_are_those_of_the_folded_network(spec: NetSpec) -> None:
    encoder = ENCODERS[spec.name](1)
    assert count_parameters(encoder) == spec.parameters - (spec.features + 1)
    assert count_parameters(PatchNet(spec)) == spec.parameters


def test_a_frame_stands_for_the_middle_of_what_it_sees() -> None:
    encoder = make_encoder(NAME, 1, 0).eval()
    x = torch.randn(1, 1, 600, requires_grad=True)
    frame = 5
    encoder.frames(x)[0, :, frame].sum().backward()
    seen = np.flatnonzero(x.grad[0, 0].numpy())
    first = encoder.offset + frame * encoder.stride
    before, after = first - seen[0], seen[-1] + 1 - (first + encoder.stride)
    assert abs(before - after) <= 1
    assert Decoder(encoder, 1).span(40) == slice(encoder.offset, encoder.offset + 40)


def test_overlapping_pieces_are_added_where_they_belong() -> None:
    encoder = make_encoder(NAME, 1, 0)
    decoder = Decoder(encoder, 3).eval()
    frames = torch.randn(2, encoder.features, 6)
    stride, half = encoder.stride, encoder.stride // 2
    hidden = torch.relu(decoder.mix(frames[:, :, None]))[:, :, 0]
    slow = torch.zeros(2, 3, 6 * stride + 2 * stride)
    for i in range(6):
        piece = decoder.write(hidden[:, :, i]).reshape(2, 3, 2 * stride)
        slow[:, :, i * stride : (i + 2) * stride] += piece
    assert torch.allclose(decoder(frames), slow[:, :, half : half + 6 * stride], atol=1e-6)


def test_lead_i_passes_a_generator_as_it_came() -> None:
    generator = Generator(make_encoder(NAME, 1, 0)).eval()
    x = torch.randn(2, 1, 500)
    output = generator(x)
    assert output.shape[1] == 12
    assert torch.equal(output[:, :1], x[:, :, generator.span(output)])


class Watched(PatchEncoder):
    """An encoder that keeps what it was shown."""

    def frames(self, signals_mv: torch.Tensor) -> torch.Tensor:
        self.shown = signals_mv
        return super().frames(signals_mv)


def test_reconstruction_hides_half_and_counts_only_that() -> None:
    torch.manual_seed(0)
    encoder = Watched(SIZES["15k"], 1)
    objective = MaskedReconstruction(encoder, PretrainSection(masked_share=0.5, patch_samples=20)).eval()
    x = 1 + torch.rand(8, 1, 400)
    loss = objective(x, torch.arange(8)).detach()
    hidden = encoder.shown == 0
    assert torch.equal(encoder.shown[~hidden], x[~hidden])
    assert hidden.unflatten(2, (20, 20)).float().mean(3).unique().tolist() == [0.0, 1.0]
    assert float(hidden.float().mean()) == pytest.approx(0.5, abs=0.1)
    output = objective.decoder(encoder.frames(encoder.shown))
    span = objective.decoder.span(output.shape[2])
    errors = (output - x[:, :, span])[hidden[:, :, span]]
    assert float(loss) == pytest.approx(float(errors.square().mean().detach()), rel=1e-5)


def test_labels_and_pairs_are_learned_from_the_same_features_with_the_weight_of_the_pairs() -> None:
    store, config = infarct_store(), PretrainSection(weight=0.5, dropout=0.0)
    rows = np.arange(len(store))
    encoder = make_encoder(NAME, 1, 0)
    labels = Labels(encoder, protocol_targets(store, rows, config.task), rows, config)
    aims = torch.randn(len(store), 6)
    alignment = Alignment(encoder, aims, PairwiseSigmoidLoss(config.scale, config.bias), config)
    both = AlignmentAndLabels(alignment, labels, config).eval()
    x, batch = torch.randn(8, 1, 400), torch.arange(8)
    with torch.no_grad():
        found, expected = both(x, batch), 0.5 * alignment(x, batch) + labels(x, batch)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    both(x, batch).backward()
    parts = [encoder.stack, alignment.pairs.from_lead, alignment.pairs.from_record, labels.classifier.head]
    for part in parts:
        assert all(float(p.grad.abs().sum()) > 0 for name, p in part.named_parameters() if "weight" in name)


def test_lead_masking_never_takes_lead_i() -> None:
    torch.manual_seed(0)
    kept = drop_leads(torch.ones(4000, 12, 1), 0.6)[:, :, 0]
    assert (kept[:, 0] == 1).all()
    alone = (kept[:, 1:].sum(1) == 0).float().mean()
    # the rest keep none of eleven leads with a chance of 1/12
    assert float(alone) == pytest.approx(0.6 + 0.4 / 12, abs=0.03)


def test_without_masking_alone_each_lead_stays_half_the_time() -> None:
    torch.manual_seed(0)
    kept = drop_leads(torch.ones(4000, 12, 1), 0.0)[:, 1:, 0]
    assert float(kept.mean()) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("leads", [1, 12])
def test_net1d_has_the_frames_of_its_millivolts(leads: int) -> None:
    encoder = make_encoder("net1d-small", leads, 0).eval()
    x = torch.randn(2, leads, 600)
    assert encoder.frames(x).shape == (2, encoder.features, 3)
    assert torch.equal(encoder.frames(x), encoder.body.frames(x))
    assert not any(name.startswith("net.dense") for name in encoder.state_dict())


def test_a_z_score_does_not_know_the_gain() -> None:
    encoder = make_encoder("net1d-small-zscore", 1, 0).eval()
    x = torch.randn(2, 1, 600)
    assert torch.allclose(encoder(x), encoder(3 * x + 1), atol=1e-4)
    assert encoder.frames(x).shape[2] == -(-600 * 5 // 256)
    assert not torch.allclose(encoder(x), make_encoder("net1d-small", 1, 0).eval()(x), atol=1e-2)


def test_a_padded_encoder_writes_no_further_than_its_input() -> None:
    encoder = make_encoder("net1d-small", 1, 0)
    x = torch.randn(2, 1, 600)
    assert Generator(encoder).eval()(x).shape == (2, 12, 600)
    loss = MaskedReconstruction(encoder, PretrainSection(patch_samples=20))(x, torch.arange(2))
    assert torch.isfinite(loss)
