"""A network begins with an encoder only where nothing that the encoder saw is judged on, and says what it saw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_mi.train.config import FitConfig, QatConfig, Recipe
from edge_mi.train.crossfit import train_students
from edge_mi.train.crossvalidate import Plan, cross_validate
from edge_mi.train.distributed import ALONE
from edge_mi.train.encoder_origin import Origin, check_unseen, origin_of
from edge_mi.train.encoder_start import EncoderStart, load_start
from edge_mi.train.finish import QuickRun
from edge_mi.train.parts import Arrays, RunFolder
from edge_mi.train.pretrain import pretrain
from edge_mi.train.pretrain_config import PretrainConfig, PretrainPlan
from edge_mi.train.pretrain_file import EncoderReport
from edge_mi.train.pretrain_nets import make_encoder
from edge_mi.train.quantised import train_qat
from edge_mi.train.quick import train_quick
from label_store import infarct_store

from edge_mi import strict
from edge_mi.checkpoint import Checkpoint
from edge_mi.cli.main import main
from edge_mi.errors import CheckpointError, ConfigError
from edge_mi.netspec import SIZES
from edge_mi.signal_design import SignalDesign
from edge_mi.store import RecordTable, WindowStore

FIT = FitConfig(epochs=1, batch=32)
FOLDS = tuple(range(1, 9))


def pretrained(store: WindowStore, out: Path, teacher: Path | None = None, **settings: object) -> Path:
    """A student that saw folds 1 to 8 of `store`, or what `settings` say."""
    if teacher is None:
        teacher = out / "twelve.pth"
        out.mkdir(parents=True)
        torch.save(make_encoder("net1d-small", leads=12).state_dict(), teacher)
    config = PretrainConfig(
        **{"net": "15k", "teacher_net": "net1d-small", "cut_s": 2.5, "fit": FIT, "folds": FOLDS, **settings}  # type: ignore[arg-type]
    )
    pretrain(store, config, PretrainPlan(out=out, teacher=teacher), ALONE)
    return out / f"student-{config.leads[0]}.safetensors"


@pytest.fixture(scope="module")
def encoder(toy_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrained(WindowStore.open(toy_store), tmp_path_factory.mktemp("encoder") / "out")


@pytest.fixture
def store(toy_store: Path) -> WindowStore:
    return WindowStore.open(toy_store)


@pytest.fixture(scope="session")
def recipe(tiny_recipe: Recipe) -> Recipe:
    """As short as training can be, of a size that pre-training knows."""
    fit = FitConfig(epochs=3, batch=32, learning_rate=1e-2, ema_decay=0.5)
    student = replace(
        tiny_recipe.student, net=replace(SIZES["15k"], window_samples=263, hop_samples=20), fit=fit
    )
    teacher = replace(tiny_recipe.teacher, fit=fit, ensemble=1)
    return replace(tiny_recipe, align=None, student=student, teacher=teacher)


@pytest.fixture
def start(encoder: Path, recipe: Recipe, design: SignalDesign) -> EncoderStart:
    return load_start(encoder, recipe.student.net, design)


def test_the_report_says_which_folds_were_read(encoder: Path, store: WindowStore) -> None:
    report = strict.loads(encoder.with_suffix(".json").read_text(), EncoderReport)
    rows = store.rows_of(FOLDS)
    (seen,) = report.origin.seen
    assert report.folds == seen.folds == FOLDS
    assert report.data == seen.data
    assert (seen.data.records, seen.data.selection) == (len(rows), "folds 1-8 of: all")
    assert (len(seen.patients), seen.store) == (len(set(store.patients[rows])), store.digest)
    assert report.origin.unknown == ("twelve.pth",)


def test_labels_demand_folds(store: WindowStore, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"this store has labels: say which folds to learn from \(--folds 1-8\)"
    ):
        pretrained(store, tmp_path / "out", folds=None)
    unknown = RecordTable.of(replace(record, mi=None, norm=None, codes={}) for record in store.records)
    file = pretrained(replace(store, records=unknown), tmp_path / "unlabelled", folds=None)
    report = strict.loads(file.with_suffix(".json").read_text(), EncoderReport)
    assert report.folds == tuple(range(1, 10))


def test_what_a_teacher_saw_is_handed_on(encoder: Path, store: WindowStore, tmp_path: Path) -> None:
    """A student of fold 1 alone, begun with one that saw folds 1 to 8."""
    torch.save(make_encoder("net1d-small", leads=12).state_dict(), tmp_path / "twelve.pth")
    config = PretrainConfig(net="15k", teacher_net="net1d-small", cut_s=2.5, fit=FIT, folds=(1,))
    plan = PretrainPlan(out=tmp_path / "out", teacher=tmp_path / "twelve.pth", student=encoder)
    _, student = pretrain(store, config, plan, ALONE)
    assert [seen.folds for seen in student.origin.seen] == [(1,), FOLDS]


def test_a_student_begins_with_the_weights_of_the_encoder(
    toy_store: Path, tmp_path: Path, start: EncoderStart, recipe: Recipe
) -> None:
    """Trained with hardly a step, it has the encoder's convolutions: one from nothing has others."""
    still = replace(recipe.student, fit=replace(recipe.student.fit, learning_rate=1e-12))
    run = RunFolder(tmp_path, toy_store, workers=1)
    soft = np.zeros(len(run.store), dtype=np.float32)
    splits = [(FOLDS, (9,))]

    def begun(encoders: list[Arrays]) -> Arrays:
        (((result,)),) = train_students(
            run, replace(recipe, student=still), splits, [soft], (0,), (3,), "", encoders
        )
        return result

    first, other = begun([start.state]), begun([])
    names = sorted(file.name for file in (tmp_path / "parts").iterdir())
    assert [("-encoder-" in name) for name in names] == [False, True]
    kernel = start.state["stack.0.weight"][:, :, 0]
    scale = first["conv1.weight"] / kernel
    # batch norm is folded in: one factor a channel
    np.testing.assert_allclose(scale, np.broadcast_to(scale[:, :, :1], scale.shape), rtol=1e-3)
    spread = other["conv1.weight"] / kernel
    assert np.ptp(spread, axis=2).max() > 1


def test_quick_says_what_the_encoder_saw(
    toy_store: Path, tmp_path: Path, start: EncoderStart, recipe: Recipe, design: SignalDesign
) -> None:
    quick = QuickRun(
        folds=(1, 2, 3, 4, 5, 6), test_fold=9, seed=0, command="edge-mi train quick", resamples=20
    )
    info = train_quick(toy_store, tmp_path / "run", quick, recipe, design, encoder=start, workers=1).info
    said = f"encoder student-I.safetensors (sha256 {start.sha256})"
    assert [(data.name, data.licence, data.selection) for data in info.provenance.data] == [
        ("toy", "none", "folds 1-6 of: all"),
        ("toy", "none", f"folds 1-8 of: all; {said}"),
        ("unknown, behind twelve.pth", "unknown", said),
    ]
    assert f"that began with {said}, which had seen these records" in info.calibration.fitted_on
    info_of_file = tmp_path / "model.safetensors"
    train_quick(toy_store, tmp_path / "run", quick, recipe, design, encoder=start, workers=1).save(
        info_of_file
    )
    assert Checkpoint.load(info_of_file).info.provenance == info.provenance


def test_a_network_that_began_with_an_encoder_is_not_trained_further_in_int8(
    toy_store: Path, tmp_path: Path, start: EncoderStart, recipe: Recipe, design: SignalDesign
) -> None:
    quick = QuickRun(folds=(1, 2, 3, 4, 5, 6), test_fold=9, seed=0, command="", resamples=20)
    checkpoint = train_quick(toy_store, tmp_path / "run", quick, recipe, design, encoder=start, workers=1)
    with pytest.raises(
        ConfigError, match=r"began with encoder student-I.safetensors \(sha256 .*without --encoder"
    ):
        train_qat(checkpoint, toy_store, tmp_path / "run", quick, recipe, QatConfig(), workers=1)


def test_a_fold_that_the_encoder_saw_is_not_judged_on(
    toy_store: Path, tmp_path: Path, start: EncoderStart, recipe: Recipe, design: SignalDesign
) -> None:
    quick = QuickRun(folds=(1, 2), test_fold=8, seed=0, command="")
    with pytest.raises(ConfigError, match=r"saw fold 8 of toy \(6 patients, one of them p"):
        train_quick(toy_store, tmp_path / "run", quick, recipe, design, encoder=start, workers=1)
    plan = Plan(seeds=(0,), command="", encoders=(start,))
    with pytest.raises(ConfigError, match="saw fold 1-3 of toy"):
        cross_validate(toy_store, tmp_path / "run", plan, recipe, design, workers=1)
    assert not list((tmp_path / "run" / "parts").iterdir())


def test_each_group_may_have_its_own_encoder(
    toy_store: Path, tmp_path: Path, store: WindowStore, recipe: Recipe, design: SignalDesign
) -> None:
    groups = ((1, 2, 3, 4), (5, 6, 7, 8, 9))
    files = [pretrained(store, tmp_path / str(i), folds=groups[1 - i]) for i in range(2)]
    starts = tuple(load_start(file, recipe.student.net, design) for file in files)
    plan = Plan(seeds=(0,), command="", groups=groups, frames=(), resamples=20, encoders=starts)
    result = cross_validate(toy_store, tmp_path / "run", plan, recipe, design, workers=1)
    assert result.data.startswith("toy 1, all; networks began with encoder student-I.safetensors (sha256 ")
    assert all(each.sha256 in result.data for each in starts)
    with pytest.raises(ConfigError, match="saw fold 1-4 of toy"):
        replace(plan, encoders=starts[::-1]).check_unseen(store)
    with pytest.raises(ConfigError, match="2 encoders; give one, or one for each of the 3 groups"):
        Plan(seeds=(0,), command="", encoders=starts)


def test_stores_are_compared_by_patients_where_their_ids_can_be(store: WindowStore) -> None:
    named = infarct_store()
    others = [replace(r, patient_id=f"labels/{r.patient_id}") for r in named.records]
    sourced = replace(named, records=RecordTable.of(others))
    origin = origin_of(sourced, sourced.rows_of((1, 2)))
    manifest = replace(sourced.manifest, versions={"edge-mi": "other"})
    rebuilt = replace(sourced, manifest=manifest)
    assert rebuilt.digest != sourced.digest
    with pytest.raises(ConfigError, match=r"saw fold 2 of labels \(15 patients, one of them labels/p"):
        check_unseen(Path("e"), origin, rebuilt, (2, 3))
    assert check_unseen(Path("e"), origin, rebuilt, (3,)) == ()
    # ids without their source are of one store alone
    (doubt,) = check_unseen(Path("e"), origin, store, (1,))
    assert "patients are named without their source" in doubt
    plain = origin_of(named, named.rows_of((1,)))
    again = replace(named, manifest=manifest)
    with pytest.raises(ConfigError, match=r"saw fold 1 of labels \(in another store of that collection\)"):
        check_unseen(Path("e"), plain, again, (1, 2))
    assert len(check_unseen(Path("e"), plain, again, (2,))) == 1


def test_what_is_not_known_is_said(store: WindowStore) -> None:
    doubts = check_unseen(Path("x/e.safetensors"), Origin(unknown=("12.pth",)), store, (1,))
    (doubt,) = doubts
    assert doubt.startswith(
        "nothing is known of the data behind 12.pth, so whether they hold patients of toy"
    )


def test_an_encoder_that_does_not_fit_is_refused(
    encoder: Path, store: WindowStore, tmp_path: Path, design: SignalDesign
) -> None:
    with pytest.raises(CheckpointError, match=r"tensor stack.0.weight has shape \(.*\), the network's is"):
        load_start(encoder, SIZES["67k"], design)
    with pytest.raises(ConfigError, match="filter"):
        load_start(encoder, SIZES["15k"], replace(design, resamplers=()))
    (tmp_path / "student-I.safetensors").write_bytes(encoder.read_bytes())
    with pytest.raises(ConfigError, match=r"has no student-I\.json beside it"):
        load_start(tmp_path / "student-I.safetensors", SIZES["15k"], design)
    document = json.loads(encoder.with_suffix(".json").read_text())
    beside = tmp_path / "student-I.json"
    beside.write_text(json.dumps({**document, "sha256": "0" * 64}))
    with pytest.raises(ConfigError, match=r"is not what student-I.json beside it is about"):
        load_start(tmp_path / "student-I.safetensors", SIZES["15k"], design)
    beside.write_text(json.dumps({**document, "schema": 1}))
    with pytest.raises(ConfigError, match="do not say which folds it saw"):
        load_start(tmp_path / "student-I.safetensors", SIZES["15k"], design)
    other = pretrained(store, tmp_path / "II", leads=("II",))
    with pytest.raises(ConfigError, match="an encoder of II"):
        load_start(other, SIZES["15k"], design)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["quick", "--test-fold", "8", "--folds", "1-7", "--encoder", "FILE"], "saw fold 8 of toy"),
        (["quick", "--size", "50k", "--encoder", "FILE"], "tensor stack.0.weight has shape"),
        (["quick", "--align", "--encoder", "FILE"], "leave out --align"),
        (["cv", "--encoder", "FILE"], "saw fold 1-3 of toy"),
        (["cv", "--encoder", "FILE", "--against", "50k"], "leave one of them out"),
        (["cv", "--encoder", "FILE", "FILE"], "2 encoders; give one"),
    ],
)
def test_the_command_line_refuses_in_one_line(
    encoder: Path,
    toy_store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    given = [str(encoder) if word == "FILE" else word for word in words]
    size = [] if "--size" in given else ["--size", "15k"]
    where = ["--data", str(toy_store), "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    assert main(["train", *given, *size, *where]) == 2
    said = capsys.readouterr().err.splitlines()
    assert message in said[-1]
    assert [line for line in said[:-1] if not line.startswith("note: ")] == []
