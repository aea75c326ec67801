"""Bad input on the command line: one clear line on stderr, exit code 2, nothing half-written."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closed import close
from toy import toy_checkpoint, with_weights
from virtual_time import VirtualTimeLoop

from edge_mi import synthetic
from edge_mi.checkpoint import Checkpoint
from edge_mi.cli.main import main
from edge_mi.records import write_wfdb
from edge_mi.shipped import shipped_bundle, shipped_checkpoint

Output = pytest.CaptureFixture[str]
HEART = np.rint(synthetic.ecg(15, rate_hz=100, seed=1).lead("I") * 1000)


def refused(words: list[str], capsys: Output, *, message: str, code: int = 2) -> None:
    """Run, and demand the exit code and one line with `message` (progress lines aside)."""
    capsys.readouterr()
    assert main(words) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edge-mi: ")]
    assert len(lines) == 1, lines
    assert message in lines[0]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return write_wfdb(tmp_path, "heart", ["I"], HEART.astype(np.int16)[None], 100, 1000)


def csv_record(folder: Path, samples: np.ndarray, *, rate_hz: float = 100, unit: str = "mV") -> Path:
    path = folder / "heart.csv"
    rows = [f"{i / rate_hz:.6f},{value}" for i, value in enumerate(samples)]
    path.write_text("\n".join([f"t_s,I_{unit}", *rows]) + "\n")
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def remove(path: Path) -> None:
    path.with_suffix(".dat").unlink()


def truncate(path: Path) -> None:
    data = path.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:-100])


RECORDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing file": (remove, "heart.dat, which is not there"),
    "truncated": (truncate, "cut short: found 2900 bytes, expected 3000"),
    "header lies about its length": (lambda p: edit(p, " 1500", " 999999"), "cut short"),
    "header lies about its signals": (lambda p: edit(p, "heart 1", "heart 3"), "announces 3 signals"),
    "header of another rate": (lambda p: edit(p, "1 100 ", "1 420 "), "420 Hz; expected a rate within 2 %"),
    "microvolts as millivolts": (
        lambda p: edit(p, "1000(0)/mV", "1(0)/mV"),
        "microvolts given as millivolts",
    ),
    "garbage": (lambda p: p.write_bytes(os.urandom(300)) and None, "heart.hea"),
    "no lead I": (lambda p: edit(p, "0 I", "0 V5"), "no lead I; found V5: choose one of them with --lead"),
}


@pytest.mark.parametrize("command", [["stream", "--replay"], ["score"], ["emulate", "h10"]])
@pytest.mark.parametrize("name", RECORDS)
def test_bad_records(name: str, command: list[str], record: Path, capsys: Output) -> None:
    spoil, message = RECORDS[name]
    spoil(record)
    before = sorted(record.parent.iterdir())
    refused([*command, str(record)], capsys, message=message)
    assert sorted(record.parent.iterdir()) == before


@pytest.mark.parametrize("command", [["stream", "--replay"], ["score"], ["emulate", "h10"]])
@pytest.mark.parametrize("path", ["nowhere.hea", "nowhere.csv", "nowhere"])
def test_missing_records(path: str, command: list[str], tmp_path: Path, capsys: Output) -> None:
    refused([*command, str(tmp_path / path)], capsys, message="no such record")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.full(1500, np.nan), "not numbers"),
        (np.zeros(1500), "does not move"),
        (HEART / 1000 + np.where(np.arange(1500) > 400, 300.0, 0), "microvolts given as millivolts"),
        (HEART[:600] / 1000, "too short"),
    ],
)
def test_signals_that_say_nothing(samples: np.ndarray, message: str, tmp_path: Path, capsys: Output) -> None:
    refused(["stream", "--replay", str(csv_record(tmp_path, samples))], capsys, message=message)


def test_microvolts_in_a_csv_that_says_millivolts(tmp_path: Path, capsys: Output) -> None:
    refused(["stream", "--replay", str(csv_record(tmp_path, HEART))], capsys, message="microvolts given as")


def test_a_csv_of_another_rate(tmp_path: Path, capsys: Output) -> None:
    path = csv_record(tmp_path, HEART, rate_hz=77, unit="uV")
    refused(["stream", "--replay", str(path)], capsys, message="77 samples a second; expected within 2 %")


def test_a_rate_that_contradicts_the_record(record: Path, capsys: Output) -> None:
    refused(
        ["stream", "--replay", str(record), "--rate", "500"],
        capsys,
        message="says 100 Hz, the rate given is 500",
    )


def test_a_folder_without_records(tmp_path: Path, capsys: Output) -> None:
    refused(["score", str(tmp_path)], capsys, message="holds no record")


def test_a_folder_of_bad_records_only(record: Path, capsys: Output) -> None:
    truncate(record)
    refused(
        ["score", str(record.parent), "--out", str(record.parent / "s.csv")],
        capsys,
        message="no record could be",
    )


def test_scores_in_place_of_a_record(tmp_path: Path, capsys: Output) -> None:
    path = csv_record(tmp_path, HEART, unit="uV")
    before = path.read_bytes()
    refused(["score", str(tmp_path), "--out", str(path)], capsys, message="is one of the records")
    assert path.read_bytes() == before


def test_a_text_that_is_no_list(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "ecg.txt").write_text("\n".join(map(str, range(5000))))
    refused(["score", str(tmp_path / "ecg.txt")], capsys, message="lists no record that is there")


def test_a_csv_with_semicolons(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "a.csv").write_text("t_s;ecg_mV\n0,00;0,1\n0,01;0,2\n")
    refused(["stream", "--replay", str(tmp_path / "a.csv")], capsys, message="by semicolons; expected commas")


def test_a_rate_that_no_record_can_have(record: Path, capsys: Output) -> None:
    refused(["score", str(record), "--rate", "37"], capsys, message="37 Hz; expected one within 2 %")


def test_scores_that_cannot_be_written(record: Path, capsys: Output) -> None:
    out = record.parent / "no-folder" / "s.csv"
    refused(["score", str(record), "--out", str(out)], capsys, message="s.csv")


# bundles


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped_bundle(), tmp_path / "bundle"))


def change_document(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads((path / "model.json").read_text())
    change(document)
    (path / "model.json").write_text(json.dumps(document))


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(bytes(raw))


BUNDLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "unknown key": (lambda p: change_document(p, lambda d: d.update(surprise=1)), "surprise"),
    "missing key": (lambda p: change_document(p, lambda d: d.pop("alarm")), "alarm"),
    "another schema": (lambda p: change_document(p, lambda d: d.update(schema=9)), "schema 9"),
    "a changed byte": (lambda p: flip(p / "model.int8.tflite"), "sha256"),
    "a missing graph": (lambda p: (p / "model.int8.onnx").unlink(), "model.int8.onnx"),
    "no document": (lambda p: (p / "model.json").unlink(), "model.json"),
    "garbage": (lambda p: (p / "model.json").write_bytes(b"\xff\x00") and None, "model.json"),
}


@pytest.mark.parametrize("name", BUNDLES)
def test_bad_bundles(name: str, bundle: Path, record: Path, capsys: Output) -> None:
    spoil, message = BUNDLES[name]
    spoil(bundle)
    for words in (
        ["info", str(bundle)],
        ["bench", str(bundle)],
        ["stream", str(bundle), "--replay", str(record)],
        ["score", str(record), "--bundle", str(bundle)],
    ):
        refused(words, capsys, message=message)


def test_an_int8_file_of_another_shape(tmp_path: Path, bundle: Path, record: Path, capsys: Output) -> None:
    import hashlib

    from edge_mi.export.quantise import quantise
    from edge_mi.export.tflite_writer import write_tflite

    other = write_tflite(quantise(toy_checkpoint()))
    (bundle / "model.int8.tflite").write_bytes(other)

    def admit(document: Any) -> None:
        entry = {"bytes": len(other), "sha256": hashlib.sha256(other).hexdigest()}
        document["files"]["model.int8.tflite"] = entry

    change_document(bundle, admit)
    refused(
        ["stream", str(bundle), "--replay", str(record)],
        capsys,
        message="model.json says int8 (1, 1, 983, 1)",
    )


@pytest.mark.parametrize("path", ["nowhere", "heart.hea"])
def test_no_bundle_at_all(path: str, record: Path, capsys: Output) -> None:
    refused(["info", str(record.parent / path)], capsys, message=path)


def test_an_operating_point_that_is_not_there(record: Path, capsys: Output) -> None:
    words = ["stream", "--replay", str(record), "--operating-point", "best"]
    refused(words, capsys, message="specificity_90")


# export


def nan_checkpoint(folder: Path) -> Path:
    """A checkpoint on disk whose weights are not finite, as a diverged run of another tool would leave it."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = folder / "nan.safetensors"
    with safe_open(str(shipped_checkpoint()), framework="numpy") as handle:
        tensors = {name: handle.get_tensor(name).copy() for name in handle.keys()}  # noqa: SIM118
        metadata = handle.metadata()
    tensors["conv3.weight"][0, 0, 0] = np.nan
    save_file(tensors, str(path), metadata=metadata)
    return path


def test_a_checkpoint_with_nan_weights(tmp_path: Path, capsys: Output) -> None:
    words = ["export", "--int8", str(nan_checkpoint(tmp_path)), "--out", str(tmp_path / "b")]
    refused(words, capsys, message="conv3 has weights that are not finite")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("content", [None, b"", b"garbage", b"\xff" * 4000])
def test_a_checkpoint_that_is_none(content: bytes | None, tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "c.safetensors"
    if content is not None:
        path.write_bytes(content)
    refused(["export", "--int8", str(path), "--out", str(tmp_path / "b")], capsys, message="c.safetensors")
    assert not (tmp_path / "b").exists()


def test_an_output_folder_that_exists(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "b").mkdir()
    refused(["export", "--int8", "--out", str(tmp_path / "b")], capsys, message="--force")
    assert list((tmp_path / "b").iterdir()) == []


def test_an_output_folder_that_cannot_be_made(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "file").write_text("")
    refused(["export", "--int8", "--out", str(tmp_path / "file" / "b")], capsys, message="file")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("out", [".", "", "..", "/"])
def test_force_never_takes_the_folder_that_one_is_in(
    out: str, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "precious.txt").write_text("mine")
    monkeypatch.chdir(tmp_path / "here")
    refused(["export", "--int8", "--force", "--out", out], capsys, message="the folder that you are in")
    assert (tmp_path / "here" / "precious.txt").read_text() == "mine"


def test_force_never_takes_a_folder_of_other_things(tmp_path: Path, capsys: Output) -> None:
    shutil.copytree(shipped_bundle(), tmp_path / "b")
    (tmp_path / "b" / "notes.txt").write_text("mine")
    refused(["export", "--int8", "--force", "--out", str(tmp_path / "b")], capsys, message="notes.txt")
    assert (tmp_path / "b" / "notes.txt").read_text() == "mine"


def test_ranges_need_records_to_be_measured_on(tmp_path: Path, capsys: Output) -> None:
    words = ["export", "--int8", "--out", str(tmp_path / "b"), "--ranges", "mse"]
    refused(words, capsys, message="--ranges mse needs records to measure on: give --data STORE")
    assert list(tmp_path.iterdir()) == []


def test_export_without_int8(tmp_path: Path, capsys: Output) -> None:
    refused(["export", "--out", str(tmp_path / "b")], capsys, message="--int8")


@pytest.mark.parametrize("hop", ["0", "-1", "0.25", "0.3333", "99", "nan", "inf"])
def test_a_hop_that_does_not_fit(hop: str, tmp_path: Path, capsys: Output) -> None:
    words = ["export", "--int8", "--out", str(tmp_path / "b"), "--hop", hop]
    refused(words, capsys, message="hop" if hop not in ("nan", "inf") else "choose a multiple")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("content", ["nothing", "file", "empty folder"])
def test_a_store_that_is_none(content: str, tmp_path: Path, capsys: Output) -> None:
    store = tmp_path / "store"
    if content == "file":
        store.write_text("")
    if content == "empty folder":
        store.mkdir()
    words = ["export", "--int8", "--out", str(tmp_path / "b"), "--data", str(store)]
    refused(words, capsys, message="store")
    assert not (tmp_path / "b").exists()


def test_runners_that_disagree_are_a_failed_check(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_mi.export import bundle_writer
    from edge_mi.export.quantise import quantise

    weight, _ = Checkpoint.load(shipped_checkpoint()).weights["conv2"]
    bent = weight.copy()
    bent[:, :, 4] *= 0.7
    net = quantise(with_weights(Checkpoint.load(shipped_checkpoint()), "conv2", bent))
    right = bundle_writer.write_onnx_int8
    monkeypatch.setattr(bundle_writer, "write_onnx_int8", lambda _: right(net))
    assert main(["export", "--int8", "--out", str(tmp_path / "b")]) == 1
    captured = capsys.readouterr()
    assert re.search(r"^conv2 .*first that differs$", captured.out, re.MULTILINE)
    assert [line for line in captured.err.splitlines() if line.startswith("edge-mi: ")] != []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("{", "not JSON"),
        ('{"family_decisions": 0.1}', "missing key"),
        ('{"family_decisions": 0.1, "float_decisions": 0.1, "auroc_difference": 7}', "shares from 0 to 1"),
    ],
)
def test_limits_that_are_none(text: str | None, message: str, tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "limits.json"
    if text is not None:
        path.write_text(text)
    words = ["export", "--int8", "--out", str(tmp_path / "b"), "--limits", str(path)]
    refused(words, capsys, message=message)
    assert not (tmp_path / "b").exists()


def test_a_limit_that_is_breached(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "limits.json"
    path.write_text('{"family_decisions": 0, "float_decisions": 0.1, "auroc_difference": 0.005}')
    words = ["export", "--int8", "--out", str(tmp_path / "b"), "--limits", str(path)]
    refused(words, capsys, message="of decisions differ, at most 0.00% may", code=1)
    assert not (tmp_path / "b").exists()


# patches


def test_no_emulator_at_the_link(tmp_path: Path, capsys: Output) -> None:
    words = ["stream", "--device", "Polar H10", "--link", f"unix:{tmp_path / 'hci'}"]
    refused(words, capsys, message="start edge-mi emulate")


@pytest.mark.parametrize(
    "words",
    [
        ["stream", "--replay", "{}/kept"],
        ["recording", "{}/kept"],
        ["score", "{}", "--out", "scores.csv"],
        ["export", "--int8", "{}/model.safetensors", "--out", "made"],
    ],
)
def test_what_lies_where_nobody_may_look_cannot_be_read(
    words: list[str], tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = close(tmp_path / "closed", monkeypatch)
    refused([each.format(folder) for each in words], capsys, message="Permission denied")


@pytest.mark.parametrize("link", ["tcp:1", "unix:", "/tmp/x"])
def test_a_link_of_another_kind(link: str, capsys: Output, record: Path) -> None:
    refused(["stream", "--device", "Polar H10", "--link", link], capsys, message="expected unix:PATH")
    refused(["emulate", "h10", str(record), "--link", link], capsys, message="expected unix:PATH")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("adapter", "no Bluetooth adapter can be used"),
        ("bus", "is the Bluetooth service running"),
        ("nobody", "no 'Polar H10' in"),
    ],
)
def test_without_adapter_service_or_device(
    error: str, message: str, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bleak
    from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError

    class Deaf:
        def __init__(self, *_: object, **__: object) -> None: ...

        async def start(self) -> None:
            if error == "adapter":
                raise BleakBluetoothNotAvailableError(
                    "no powered adapters", BleakBluetoothNotAvailableReason.NO_BLUETOOTH
                )
            if error == "bus":
                raise BleakError("[org.freedesktop.DBus.Error.ServiceUnknown] org.bluez was not provided")

        async def stop(self) -> None: ...

    monkeypatch.setattr(bleak, "BleakScanner", Deaf)
    monkeypatch.setattr(asyncio.events, "new_event_loop", VirtualTimeLoop)
    refused(["stream", "--device", "Polar H10"], capsys, message=message)


@pytest.mark.skipif(Path("/run/dbus/system_bus_socket").exists(), reason="this machine has a system bus")
def test_a_machine_without_bluetooth(capsys: Output) -> None:
    refused(["stream", "--device", "Polar H10"], capsys, message="Bluetooth")


def test_a_place_that_holds_a_file_is_no_link(record: Path, capsys: Output) -> None:
    refused(["emulate", "h10", str(record), "--link", f"unix:{record}"], capsys, message="is no socket")
    assert record.read_text().startswith("heart")


# words


@pytest.mark.parametrize(
    "words",
    [
        ["exprot"],
        ["stream"],
        ["stream", "--replay"],
        ["stream", "--replay", "a", "--device", "b"],
        ["score"],
        ["emulate", "h11", "x"],
        ["bench", "--rounds", "many"],
        ["info", "--runner", "gpu"],
        ["train"],
        ["--bogus"],
        ["stream", "--replay", "x", "--speed", "0"],
        ["stream", "--replay", "x", "--seconds", "-1"],
        ["stream", "--replay", "x", "--seconds", "inf"],
        ["stream", "--replay", "x", "--seconds", "nan"],
        ["emulate", "h10", "x", "--speed", "-1"],
        ["emulate", "h10", "x", "--speed", "1e-300"],
    ],
)
def test_mistyped_words_are_one_line_that_says_where_to_look(words: list[str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(words))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith("edge-mi")
    assert error.endswith("--help)\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stream", "--replay", "x", "--link", "unix:y"], "--device"),
        (["stream", "--device", "x", "--speed", "2"], "--speed"),
        (["stream", "--device", ""], "the device is empty"),
        (["score", "x", "--jobs", "0"], "--jobs"),
        (["bench", "--rounds", "0"], "--rounds"),
    ],
)
def test_impossible_wishes(words: list[str], message: str, capsys: Output) -> None:
    refused(words, capsys, message=message)
