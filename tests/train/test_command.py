"""edge-mi train on the command line: results on stdout, one line for an error, no torch before it is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from closed import close
from edge_mi.train import commands
from edge_mi.train.config import Recipe
from edge_mi.train.device.config import DeviceConfig
from edge_mi.train.finish import QuickRun
from edge_mi.train.quick import train_quick

from edge_mi.checkpoint import Checkpoint
from edge_mi.cli.main import build_parser, main
from edge_mi.signal_design import SignalDesign


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["quick", "--folds", "1-10"], "fold 10 is kept"),
        (["quick", "--test-fold", "10"], "fold 10 is kept"),
        (["quick", "--folds", "1-99999999"], "fold 99999999; expected folds 1 to 9"),
        (
            ["quick", "--seed", "99999999999999999999"],
            "--seed 99999999999999999999; seeds are 0 to 4294967295",
        ),
        (["qat", "--seed", "-1"], "--seed -1; seeds are 0 to"),
        (["cv", "--out", "x.json", "--seeds", "99999999999"], "--seeds 99999999999; at most 1000 networks"),
        (["quick", "--folds", "1-9"], "fold 9 is trained on"),
        (["quick", "--data", "nowhere"], "cannot be read"),
        (["qat", "--folds", "1-9"], "fold 9 is trained on"),
        (["qat", "--epochs", "0"], "--epochs 0; at least 1"),
        (["qat", "nothing.safetensors"], "nothing.safetensors: no such checkpoint"),
        (["qat", "--out", "nowhere/qat.safetensors"], "there is no folder nowhere"),
        (
            ["quick", "--noise", "synthetic"],
            "--noise synthetic is what a patch hears: add --device-simulation",
        ),
        (["qat", "--noise", "synthetic"], "add --device-simulation"),
        (["cv", "--out", "x.json", "--noise", "synthetic"], "add --device-simulation"),
        (["cv", "--out", "x.json", "--seeds", "0"], "at least 1 network"),
        (["cv", "--out", "x.json", "--size", "15k", "--against", "15k"], "name another"),
        (["cv", "--out", "x.json", "--scratch", "--no-align"], "leave out --no-align"),
    ],
)
def test_a_wrong_request_is_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


class Trained(Exception):
    """Raised in place of hours of training, with what would have been trained."""


@pytest.mark.parametrize(
    ("words", "net", "against", "command"),
    [
        (["quick"], "patchnet-67k", None, "edge-mi train quick --folds 1-8 --test-fold 9 --seed 0"),
        (["quick", "--size", "15k"], "patchnet-15k", None,
         "edge-mi train quick --folds 1-8 --test-fold 9 --seed 0 --size 15k"),
        (["quick", "--rate", "500"], "patchnet-67k", None,
         "edge-mi train quick --folds 1-8 --test-fold 9 --seed 0 --rate 500"),
        (["quick", "--no-align"], "patchnet-67k", None, "edge-mi train quick --folds 1-8 --test-fold 9 --seed 0 --no-align"),
        (["cv", "--size", "100k", "--against", "67k"], "patchnet-100k", "patchnet-67k",
         "edge-mi train cv --seeds 3 --size 100k --against 67k"),
    ],
)  # fmt: skip
def test_the_size_that_is_asked_for_is_trained(
    words: list[str],
    net: str,
    against: str | None,
    command: str,
    ptbxl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(store: Path, run: Path, plan: Any, recipe: Recipe, design: SignalDesign, **more: Any) -> None:
        raise Trained(plan, recipe)

    monkeypatch.setattr(commands, "train_quick", stop)
    monkeypatch.setattr(commands, "cross_validate", stop)
    paths = ["--data", str(ptbxl), "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    parser = build_parser("train")
    args = parser.parse_args(["train", *words, *paths])
    with pytest.raises(Trained) as caught:
        (commands.cv if words[0] == "cv" else commands.quick)(args, ptbxl)
    plan, recipe = caught.value.args
    assert (recipe.student.net.name, plan.command) == (net, command)
    assert (recipe.align is None) == ("--no-align" in words)
    assert getattr(getattr(plan, "against", None), "name", None) == against


@pytest.mark.parametrize(
    ("verb", "words", "told", "simulated"),
    [
        ("quick", [], "", False),
        (
            "quick",
            ["--device-simulation", "--noise", "synthetic"],
            " --device-simulation --noise synthetic",
            True,
        ),
        ("cv", ["--device-simulation"], " --device-simulation", True),
    ],
)
def test_a_patch_is_simulated_where_it_is_asked_for(
    verb: str,
    words: list[str],
    told: str,
    simulated: bool,
    ptbxl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(store: Path, run: Path, plan: Any, recipe: Recipe, design: SignalDesign, **more: Any) -> None:
        raise Trained(plan, recipe)

    monkeypatch.setattr(commands, "train_quick", stop)
    monkeypatch.setattr(commands, "cross_validate", stop)
    monkeypatch.setenv("EDGE_MI_DATA", str(tmp_path))
    (tmp_path / "nstdb").mkdir()
    paths = ["--data", str(ptbxl), "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    args = build_parser("train").parse_args(["train", verb, *words, *paths])
    with pytest.raises(Trained) as caught:
        (commands.cv if verb == "cv" else commands.quick)(args, ptbxl)
    plan, recipe = caught.value.args
    device = plan.device if verb == "cv" else recipe.student.augment.device
    assert device == (DeviceConfig() if simulated else None)
    assert plan.command.endswith(told)
    assert recipe.teacher.augment.device is None
    noise = plan.noise if verb == "cv" else recipe.noise
    assert noise == (tmp_path / "nstdb" if told == " --device-simulation" else None)


def test_a_wrong_folder_of_noise_is_one_line(
    ptbxl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "quick", "--device-simulation", "--noise", str(tmp_path / "none"), "--data", str(ptbxl)]
    assert main([*words, "--run", str(tmp_path / "run")]) == 2
    assert "with noise records; expected that of NSTDB, or synthetic" in capsys.readouterr().err


def test_qat_writes_a_checkpoint_whose_ranges_were_learned(
    toy_store: Path,
    tiny_recipe: Recipe,
    design: SignalDesign,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = replace(tiny_recipe, align=None)
    monkeypatch.setattr(commands, "Recipe", lambda **_: recipe)
    plan = QuickRun(
        folds=tuple(range(1, 9)), test_fold=9, seed=0, command="edge-mi train quick", resamples=20
    )
    run = tmp_path / "run"
    train_quick(toy_store, run, plan, recipe, design, workers=1).save(run / "model.safetensors")
    words = ["train", "qat", str(run / "model.safetensors"), "--run", str(run), "--data", str(toy_store)]
    assert main([*words, "--epochs", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out.splitlines()[-1])
    info = Checkpoint.load(run / "qat.safetensors").info
    assert document["checkpoint"] == str(run / "qat.safetensors")
    assert info.ranges.learned
    assert info.provenance.command == (
        "edge-mi train qat model.safetensors --folds 1-8 --test-fold 9 --seed 0 --epochs 2"
    )


@pytest.mark.parametrize("words", [["quick"], ["cv", "--out", "x.json"]])
def test_a_rate_is_not_asked_of_a_store(
    words: list[str],
    toy_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words, "--data", str(toy_store), "--rate", "100"]) == 2
    assert capsys.readouterr().err == (
        f"edge-mi: --rate 100 chooses records of PTB-XL, and {toy_store} is a window store: leave it out\n"
    )


def test_too_few_records_are_refused_with_their_fold(
    ptbxl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "quick", "--data", str(ptbxl), "--run", str(tmp_path / "run")]
    assert main(words) == 2
    assert "no record of fold 4" in capsys.readouterr().err


ENTERED = {
    "a store to read": ["quick", "--data", "closed/x"],
    "a store to read for cv": ["cv", "--data", "closed/x", "--out", "x.json"],
    "a store to read for qat": ["qat", "--data", "closed/x"],
    "a store to read for pretrain": ["pretrain", "--data", "closed/x", "--out", "out"],
    "a collection": ["quick", "--data", "ptbxl"],
    "a checkpoint to write": ["quick", "--data", "STORE", "--out", "closed/model.safetensors"],
    "results to write": ["cv", "--data", "STORE", "--out", "closed/x.json"],
    "a run": ["quick", "--data", "STORE", "--run", "closed/run"],
    "a run of a collection": ["quick", "--data", "few", "--run", "closed/run"],
    "a checkpoint to read": ["qat", "closed/x.safetensors", "--data", "STORE"],
    "an encoder": ["quick", "--encoder", "closed/e.safetensors", "--data", "STORE"],
    "noise": ["quick", "--device-simulation", "--noise", "closed/n", "--data", "STORE"],
    "a configuration": ["reproduce", "closed/c.toml", "--data", "STORE", "--out", "out"],
    "a report to write": ["reproduce", "c.toml", "--data", "STORE", "--out", "closed/out"],
    "a store to reproduce on": ["reproduce", "c.toml", "--data", "closed/x", "--out", "out"],
    "encoders to write": ["pretrain", "--data", "STORE", "--out", "closed/out", "--folds", "1-9", "--cut-s", "2.5"],
    "a teacher": [
        "pretrain", "--data", "STORE", "--out", "out", "--folds", "1-9", "--cut-s", "2.5", "--teacher", "closed/t.pth",
    ],
    "a student": [
        "pretrain", "--data", "STORE", "--out", "out", "--folds", "1-9", "--cut-s", "2.5", "--student", "closed/t.pth",
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", ENTERED)
def test_a_place_that_may_not_be_entered_is_one_line_and_no_bug(
    what: str, toy_store: Path, ptbxl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ptbxl, tmp_path / "few")
    (tmp_path / "c.toml").write_text('methods = ["scratch"]\n')
    close(tmp_path / "closed", monkeypatch)
    shutil.rmtree(ptbxl / "records100")
    close(ptbxl / "records100", monkeypatch)
    words = [str(toy_store) if word == "STORE" else word for word in ENTERED[what]]
    assert main(["train", *words]) == 2
    said = capsys.readouterr().err
    assert len([line for line in said.splitlines() if line.startswith("edge-mi: ")]) == 1
    assert not any(word in said for word in ("unexpected", "Traceback"))


@pytest.mark.parametrize(
    "words",
    [
        ["train", "quick", "--data", "closed/x"],
        ["data", "check", "closed/x"],
        ["score", ".", "--out", "closed/x.csv"],
    ],
)
def test_a_folder_whose_mode_keeps_everybody_out_is_one_line_and_no_bug(
    words: list[str], tmp_path: Path
) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    command = [sys.executable, "-m", "edge_mi", *words]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may go everywhere, and there is no setpriv to give that up")
        command = ["setpriv", "--bounding-set=-all", *command]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "unexpected" not in done.stderr


def test_help_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys\nfrom edge_mi.cli.main import main\n"
        "try:\n    main(['train', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'numpy', 'torch'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "[]"
