"""Pre-training at scale: a teacher, an aligned student for each lead, and the same result after any kill."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from edge_mi.train.config import FitConfig, TaskConfig
from edge_mi.train.distributed import ALONE
from edge_mi.train.net1d_file import load_weights
from edge_mi.train.pretrain import pretrain
from edge_mi.train.pretrain_config import PretrainConfig, PretrainPlan
from edge_mi.train.pretrain_feed import CutBatch, CutFeed
from edge_mi.train.pretrain_file import EncoderReport, weights_sha256
from edge_mi.train.pretrain_nets import Encoder, make_encoder

from edge_mi import strict
from edge_mi.cli.main import main
from edge_mi.errors import CheckpointError, ConfigError
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import RecordTable, WindowStore

FIT = FitConfig(epochs=2, batch=32, learning_rate=1e-3)
CONFIG = PretrainConfig(
    net="15k",
    teacher_net="net1d-small",
    cut_s=2.5,
    fit=replace(FIT, epochs=3, learning_rate=5e-3),
    teacher_fit=FIT,
    task=TaskConfig(distil=0.0, code_min_records=10),
    folds=tuple(range(1, 10)),
)


@pytest.fixture
def store(toy_store: Path) -> WindowStore:
    return WindowStore.open(toy_store)


@pytest.fixture(scope="module")
def done(toy_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[EncoderReport]]:
    """A whole run without a kill."""
    out = tmp_path_factory.mktemp("pretrain") / "new" / "folder"
    return out, pretrain(WindowStore.open(toy_store), CONFIG, PretrainPlan(out=out), ALONE)


def test_it_leaves_a_teacher_a_student_and_where_they_come_from(
    done: tuple[Path, list[EncoderReport]], store: WindowStore
) -> None:
    out, (teacher, student) = done
    names = ["student-I.json", "student-I.safetensors", "teacher.json", "teacher.safetensors"]
    assert sorted(file.name for file in out.iterdir()) == names
    assert (teacher.how, student.how) == ("supervised", "aligned")
    assert (teacher.encoder.leads, student.encoder.leads) == (TWELVE_LEADS, ("I",))
    assert student.teacher == teacher.weights_sha256
    assert student.sha256 == sha256((out / "student-I.safetensors").read_bytes()).hexdigest()
    assert (len(teacher.curve), len(student.curve)) == (6, 9)
    assert np.mean(student.curve[-3:]) < np.mean(student.curve[:3])
    assert (student.data.records, student.data.patients, student.store) == (108, 54, store.digest)
    for name, net, leads in (("teacher", "net1d-small", 12), ("student-I", "15k", 1)):
        load_weights(make_encoder(net, leads=leads), out / f"{name}.safetensors")
        written = strict.loads((out / f"{name}.json").read_text(), EncoderReport)
        assert written.curve == {"teacher": teacher, "student-I": student}[name].curve


def test_a_finished_run_is_taken_up_and_not_trained_again(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, reports = done
    monkeypatch.setattr(CutFeed, "load", None)
    again = pretrain(store, CONFIG, PretrainPlan(out=out), ALONE)
    assert [report.curve for report in again] == [report.curve for report in reports]


class Killed(Exception):
    pass


@pytest.mark.parametrize("kill_at", [4, 11])
def test_a_killed_run_goes_on_to_the_same_curves_and_bytes(
    done: tuple[Path, list[EncoderReport]],
    store: WindowStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kill_at: int,
) -> None:
    """Killed once while the teacher learns and once while the student does, inside an epoch."""
    load, calls = CutFeed.load, 0

    def failing(feed: CutFeed, rows: Any, epoch: int) -> CutBatch:
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise Killed
        return load(feed, rows, epoch)

    plan = PretrainPlan(out=tmp_path, keep_every=1, readers=1)
    monkeypatch.setattr(CutFeed, "load", failing)
    with pytest.raises(Killed):
        pretrain(store, CONFIG, plan, ALONE)
    monkeypatch.undo()
    resumed = pretrain(store, CONFIG, plan, ALONE)
    assert [report.curve for report in resumed] == [report.curve for report in done[1]]
    for name in ("teacher.safetensors", "student-I.safetensors"):
        assert (tmp_path / name).read_bytes() == (done[0] / name).read_bytes()


def test_other_leads_learn_the_same_way_from_the_same_teacher(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, tmp_path: Path
) -> None:
    config = replace(CONFIG, leads=("II", "V5"), loss="infonce", fit=replace(FIT, epochs=1))
    plan = PretrainPlan(out=tmp_path, teacher=done[0] / "teacher.safetensors")
    given, *students = pretrain(store, config, plan, ALONE)
    assert (given.how, given.weights_sha256) == ("given", done[1][0].weights_sha256)
    assert [student.encoder.leads for student in students] == [("II",), ("V5",)]
    assert students[0].weights_sha256 != students[1].weights_sha256
    assert not (tmp_path / "teacher.safetensors").exists()


def test_a_student_begins_with_the_weights_that_are_given(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, tmp_path: Path
) -> None:
    config = replace(CONFIG, fit=replace(FIT, epochs=1, learning_rate=1e-12))
    begin = done[0] / "student-I.safetensors"
    plan = PretrainPlan(out=tmp_path, teacher=done[0] / "teacher.safetensors", student=begin)
    _, student = pretrain(store, config, plan, ALONE)
    assert student.began_from == done[1][1].weights_sha256
    weights = safetensors.torch.load_file(tmp_path / "student-I.safetensors")
    for name, value in safetensors.torch.load_file(begin).items():
        if name.endswith(".weight"):
            torch.testing.assert_close(weights[name], value)


def copied(files: Path, to: Path, **other: Any) -> Path:
    """The encoders in `files` with other words in what their reports say of the input."""
    to.mkdir()
    for file in files.iterdir():
        content = file.read_bytes()
        if file.suffix == ".json":
            document = json.loads(content)
            document["encoder"].update(other)
            content = json.dumps(document).encode()
        (to / file.name).write_bytes(content)
    return to


@pytest.mark.parametrize("which", ["teacher", "student"])
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"input": "zscore"}, "input zscore, 100 Hz, .* sees .*, input mv, 100 Hz"),
        ({"rate_hz": 500}, "input mv, 500 Hz, .* sees .*, input mv, 100 Hz"),
        ({"filter_sha256": "f" * 64}, "filter ffffffffffff; .* sees "),
    ],
)
def test_a_given_encoder_of_another_input_is_refused_before_anything_is_made(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, tmp_path: Path, which: str,
    other: dict[str, Any], message: str,
) -> None:  # fmt: skip
    file = copied(done[0], tmp_path / "given", **other) / {"student": "student-I"}.get(which, which)
    plan = PretrainPlan(out=tmp_path / "out", **{which: file.with_suffix(".safetensors")})
    with pytest.raises(ConfigError, match=f"{file.name}.safetensors: an encoder of .*{message}") as caught:
        pretrain(store, CONFIG, plan, ALONE)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_given_teacher_of_other_leads_is_refused(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, tmp_path: Path
) -> None:
    given = copied(done[0], tmp_path / "given", leads=[*TWELVE_LEADS[1:], "I"])
    with pytest.raises(ConfigError, match="an encoder of II, III"):
        pretrain(
            store, CONFIG, PretrainPlan(out=tmp_path / "out", teacher=given / "teacher.safetensors"), ALONE
        )


def test_a_student_may_begin_with_the_encoder_of_another_lead_and_both_it_and_the_user_are_told(
    done: tuple[Path, list[EncoderReport]], toy_store: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    words = ["train", "pretrain", "--data", str(toy_store), "--out", str(tmp_path / "out"), "--net", "15k"]
    words += ["--cut-s", "2.5", "--epochs", "1", "--folds", "1-9", "--batch", "32", "--device", "cpu"]
    words += ["--teacher", str(done[0] / "teacher.safetensors"), "--leads", "I,V5"]
    assert main([*words, "--student", str(done[0] / "student-I.safetensors")]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: student-I.safetensors is an encoder of I; what is trained for V5 begins with it all the same"
    ]
    hows = {
        lead: strict.loads((tmp_path / "out" / f"student-{lead}.json").read_text(), EncoderReport).how
        for lead in ("I", "V5")
    }
    assert hows == {"I": "aligned", "V5": "aligned from I"}


def test_without_labels_the_teacher_learns_what_hidden_leads_hold(store: WindowStore, tmp_path: Path) -> None:
    unknown = RecordTable.of(replace(record, mi=None, norm=None, codes={}) for record in store.records)
    config = replace(CONFIG, fit=replace(FIT, epochs=1), teacher_fit=replace(FIT, epochs=4))
    teacher, student = pretrain(replace(store, records=unknown), config, PretrainPlan(out=tmp_path), ALONE)
    assert teacher.how == "masked_leads"
    assert teacher.curve[-1] < teacher.curve[0]
    assert student.how == "aligned"


def test_the_teacher_is_frozen_while_the_student_learns(
    store: WindowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def remembered(*args: Any, **more: Any) -> Encoder:
        made.append(make_encoder(*args, **more))
        return made[-1]

    torch.save(make_encoder("net1d-small", leads=12).state_dict(), tmp_path / "twelve.pth")
    monkeypatch.setattr("edge_mi.train.pretrain.make_encoder", remembered)
    plan = PretrainPlan(out=tmp_path / "out", teacher=tmp_path / "twelve.pth")
    given, student = pretrain(store, replace(CONFIG, fit=replace(FIT, epochs=1)), plan, ALONE)
    teacher, learner = made
    assert weights_sha256(teacher) == given.weights_sha256
    assert weights_sha256(learner) == student.weights_sha256
    assert not teacher.training
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 5}, "teacher.safetensors is of another run"),
        ({"scale": 5.0}, "student-I.safetensors is of another run"),
        ({"leads": ("X",)}, "no lead X to learn from; this store has I, II"),
        ({"cut_s": 3.5}, "a cut of 3.5 s, records have 3 s"),
        ({"folds": ()}, "no records in the folds"),
    ],
)
def test_what_does_not_fit_is_refused(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pretrain(store, replace(CONFIG, **change), PretrainPlan(out=done[0]), ALONE)


def test_a_file_that_was_changed_is_not_taken_up(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, tmp_path: Path
) -> None:
    for file in done[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "teacher.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ConfigError, match="changed since it was written"):
        pretrain(store, CONFIG, PretrainPlan(out=tmp_path), ALONE)


def test_a_teacher_of_another_number_of_leads_is_refused(
    done: tuple[Path, list[EncoderReport]], store: WindowStore, tmp_path: Path
) -> None:
    torch.save(make_encoder("net1d-small").state_dict(), tmp_path / "one.pth")
    plan = PretrainPlan(out=tmp_path / "out", teacher=tmp_path / "one.pth")
    with pytest.raises(CheckpointError, match="a checkpoint for 1 leads, one for 12 is needed"):
        pretrain(store, CONFIG, plan, ALONE)


def test_bf16_runs(done: tuple[Path, list[EncoderReport]], store: WindowStore, tmp_path: Path) -> None:
    config = replace(CONFIG, fit=replace(FIT, epochs=1))
    plan = PretrainPlan(out=tmp_path, teacher=done[0] / "teacher.safetensors", precision="bf16")
    _, student = pretrain(store, config, plan, ALONE)
    assert (student.precision, len(student.curve)) == ("bf16", 3)
    assert np.isfinite(student.curve).all()


def test_the_command_line_does_the_same(
    toy_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "pretrain", "--data", str(toy_store), "--out", str(tmp_path / "out"), "--net", "15k"]
    words += [
        "--cut-s",
        "2.5",
        "--epochs",
        "1",
        "--folds",
        "1-8",
        "--batch",
        "32",
        "--no-bias",
        "--device",
        "cpu",
        "--json",
    ]
    assert main(words) == 0
    page = capsys.readouterr().out
    document = json.loads(page.splitlines()[-1])
    assert [encoder["how"] for encoder in document["encoders"]] == ["supervised", "aligned"]
    assert document["encoders"][1]["config"]["bias"] is None
    assert "15k" in page
    assert str(tmp_path) not in document["encoders"][1]["command"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "0"], "--epochs 0; at least 1"),
        (["--batch", "1"], "--batch 1"),
        (["--lr", "-1"], "a learning rate is positive"),
        (["--lr", "inf"], "--lr inf; a learning rate is positive and finite"),
        (["--lr", "nan"], "--lr nan; a learning rate is positive and finite"),
        (["--seed", "99999999999999999999"], "--seed 99999999999999999999; seeds are 0 to 4294967295"),
        (["--seed", "-1"], "--seed -1; seeds are 0 to"),
        (["--batch", "99999999999999999999"], "--batch 99999999999999999999; at most"),
        (["--threads", "99999999999"], "--threads 99999999999; at most 1024"),
        (["--leads", "I,I"], "named twice"),
        (["--folds", "1-10"], "fold 10"),
        (["--precision", "16", "--device", "cpu"], "--precision 16 is for GPUs"),
    ],
)
def test_wrong_words_are_one_line(
    toy_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    base = [
        "train",
        "pretrain",
        "--data",
        str(toy_store),
        "--out",
        str(tmp_path / "out"),
        "--cut-s",
        "2.5",
        "--folds",
        "1-9",
    ]
    assert main([*base, *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
