"""A reproduction with encoders that are given: every method begins with them, and none saw what it is judged on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_mi.train.config import AugmentConfig, FitConfig, TaskConfig, TeacherConfig
from edge_mi.train.distributed import ALONE
from edge_mi.train.pretrain import pretrain
from edge_mi.train.pretrain_config import PretrainConfig, PretrainPlan
from edge_mi.train.pretrain_nets import make_encoder
from edge_mi.train.protocol.config import EncoderSection, FinetuneSection, PretrainSection, ProtocolConfig
from edge_mi.train.protocol.given import check_given, said_of
from edge_mi.train.protocol.methods import METHODS
from edge_mi.train.protocol.run import Reproduction, reproduce

from edge_mi.errors import CheckpointError, ConfigError
from edge_mi.signal_design import SignalDesign
from edge_mi.store import WindowStore

GROUPS = ((1, 2, 3, 4), (5, 6, 7, 8, 9))
AUGMENT = AugmentConfig(crop_samples=280)
FIT = FitConfig(epochs=1, batch=32, learning_rate=1e-3)
CONFIG = ProtocolConfig(
    network="net1d-small",
    groups=GROUPS,
    seeds=(0,),
    methods=("scratch", "selfmis"),
    regimes=("probe_100", "finetune"),
    teacher=TeacherConfig(
        layers=((16, 5, 6), (8, 2, 8)), embedding=8, ensemble=1, fit=FIT, augment=AUGMENT,
        task=TaskConfig(distil=0.0),
    ),
    pretrain=PretrainSection(fit=FIT, augment=AUGMENT, projection=4),
    finetune=FinetuneSection(fit=FIT, augment=AUGMENT),
)  # fmt: skip


@pytest.fixture(scope="module")
def encoders(toy_store: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """For each group a folder with a teacher and a student that saw only the other."""
    folders = []
    for group in GROUPS:
        out = tmp_path_factory.mktemp("encoders")
        folds = tuple(fold for other in GROUPS if other != group for fold in other)
        fit = replace(FIT, batch=24)
        config = PretrainConfig(
            net="net1d-small", teacher_net="net1d-small", cut_s=2.5, fit=fit, teacher_fit=fit, folds=folds
        )
        pretrain(WindowStore.open(toy_store), config, PretrainPlan(out=out), ALONE)
        folders.append(out)
    return folders


@pytest.fixture(scope="module")
def config(encoders: list[Path]) -> ProtocolConfig:
    section = EncoderSection(
        student=tuple(str(folder / "student-I.safetensors") for folder in encoders),
        teacher=tuple(str(folder / "teacher.safetensors") for folder in encoders),
        teacher_network="net1d-small",
    )
    return replace(CONFIG, encoder=section)


@pytest.fixture(scope="module")
def done(
    toy_store: Path, config: ProtocolConfig, design: SignalDesign, tmp_path_factory: pytest.TempPathFactory
) -> Reproduction:
    return reproduce(config, toy_store, tmp_path_factory.mktemp("run"), design, workers=1, resamples=20)


def test_both_methods_and_the_given_teacher_answer(done: Reproduction) -> None:
    result = done.result
    for method in result.methods:
        assert all(np.isfinite(logits[0][:, 0]).all() for logits in method.logits.values())
    assert result.teacher.shape == (2, 108, 208)
    assert np.isfinite(result.teacher_logits[0][:, 0]).all()


def test_a_network_begins_with_the_student(
    done: Reproduction, toy_store: Path, config: ProtocolConfig, design: SignalDesign, tmp_path: Path
) -> None:
    """The probe of `scratch` is one of the encoder that was given: of others it says something else."""
    fresh = replace(
        config, encoder=replace(config.encoder, student=()), methods=("scratch",), regimes=("probe_100",)
    )
    other = reproduce(fresh, toy_store, tmp_path, design, workers=1, resamples=20).result
    mine = done.result.methods[0].logits["probe_100"][0]
    assert not np.allclose(mine[:, 0], other.methods[0].logits["probe_100"][0][:, 0])


def test_a_group_that_an_encoder_saw_is_refused(store: WindowStore, config: ProtocolConfig) -> None:
    assert check_given(store, config) == ()
    for name in ("student", "teacher"):
        files = getattr(config.encoder, name)[::-1]
        with pytest.raises(ConfigError, match="saw fold 1-4 of toy"):
            check_given(store, replace(config, encoder=replace(config.encoder, **{name: files})))


def test_an_encoder_of_another_network_or_input_is_refused(
    store: WindowStore, config: ProtocolConfig
) -> None:
    zscore = replace(config, network="net1d-small-zscore")
    with pytest.raises(ConfigError, match=r"input mv, 100 Hz.*sees I, input zscore"):
        check_given(store, zscore)
    other = replace(config, network="patchnet-15k")
    with pytest.raises(CheckpointError, match=r"tensor stack\.0\.weight is missing"):
        check_given(store, other)


def test_a_checkpoint_without_a_report_is_used_and_said(store: WindowStore, tmp_path: Path) -> None:
    file = tmp_path / "one.pth"
    torch.save({"state_dict": make_encoder("net1d-small").state_dict()}, file)
    config = replace(CONFIG, network="net1d-small-zscore", encoder=EncoderSection(student=str(file)))
    (doubt,) = check_given(store, config)
    assert doubt.startswith("nothing is known of the data behind one.pth, ")
    assert said_of(config).startswith("; begins with one.pth (sha256 ")
    assert said_of(CONFIG) == ""


@pytest.fixture
def store(toy_store: Path) -> WindowStore:
    return WindowStore.open(toy_store)


def test_what_a_given_encoder_had_met_is_not_claimed_to_be_known() -> None:
    scratch, selfmis = METHODS["scratch"], METHODS["selfmis"]
    assert scratch.labels_before_probe(student=True) == "those of the encoder that it began with"
    assert selfmis.labels_before_probe(teacher=True) == "those of the teacher that was given"
    assert METHODS["age-sex"].labels_before_probe(student=True) == "none"
