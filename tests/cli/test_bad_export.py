"""Export of what cannot be exported, to where it cannot be written, or stopped halfway: one line, nothing left."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_mi.export import bundle_writer
from edge_mi.export.check_windows import check_windows
from heart_store import heart_store
from keys import key_pair
from processes import wait_for
from toy import export_toy, signal_design

from edge_mi.bundle import Bundle
from edge_mi.cli.main import main
from edge_mi.netspec import NetSpec
from edge_mi.samples import FloatArray

Output = pytest.CaptureFixture[str]
Tensors = dict[str, Any]
Document = dict[str, Any]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, hidden or not."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def one_line(err: str) -> str:
    """The complaint, which must be the only line that is no progress."""
    lines = [line for line in err.splitlines() if line.startswith("edge-mi: ")]
    assert len(lines) == 1, err
    assert "a bug" not in lines[0]
    return lines[0]


def refused(words: list[str], folder: Path, capsys: Output, *, message: str, code: int = 2) -> None:
    before = tree(folder)
    capsys.readouterr()
    assert main(words) == code
    captured = capsys.readouterr()
    assert message in one_line(captured.err)
    assert captured.out == ""
    assert tree(folder) == before


@pytest.fixture
def few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written is looked at here, not how it computes."""
    monkeypatch.setattr(bundle_writer, "check_windows", lambda _, net: windows_of(net))


@cache
def windows_of(net: NetSpec) -> list[FloatArray]:
    return check_windows(signal_design(), net, 11.0)[::8]


# checkpoints


def rewrite(path: Path, change: Callable[[Tensors, Document], object]) -> None:
    """Change a checkpoint's tensors and document, as a tool that does not check what it writes."""
    import safetensors
    import safetensors.numpy

    with safetensors.safe_open(str(path), framework="numpy") as file:
        document = json.loads(file.metadata()["edge_mi"])
        tensors = {name: file.get_tensor(name).copy() for name in file.keys()}  # noqa: SIM118
    change(tensors, document)
    path.write_bytes(safetensors.numpy.save(tensors, {"edge_mi": json.dumps(document)}))


def put(name: str, value: object) -> Callable[[Tensors, Document], object]:
    return lambda tensors, _: tensors[name].__setitem__((0, 0, 0) if "weight" in name else 0, value)


def span(name: str, low: float, high: float) -> Callable[[Tensors, Document], object]:
    return lambda _, document: document["ranges"]["tensors"].update({name: {"low": low, "high": high}})


def rename(tensors: Tensors, _: Document) -> None:
    tensors["stem.weight"] = tensors.pop("conv1.weight")


def rename_in_both(tensors: Tensors, document: Document) -> None:
    """A whole checkpoint of another network; its ranges were forgotten."""
    document["net"]["convs"][0]["name"] = "stem"
    for part in ("weight", "bias"):
        tensors[f"stem.{part}"] = tensors.pop(f"conv1.{part}")


CHANGES: dict[str, tuple[Callable[[Tensors, Document], object], str]] = {
    "renamed layer": (rename, "tensor stem.weight is of no layer of toy: this checkpoint is of another"),
    "renamed layer, in the document too": (rename_in_both, "ranges for ['conv1', 'conv2', 'head', 'input']"),
    "missing layer": (lambda t, _: t.pop("conv2.bias"), "tensor conv2.bias is missing"),
    "extra layer": (
        lambda t, _: t.update({"conv3.weight": t["conv2.weight"]}),
        "conv3.weight is of no layer",
    ),
    "other channels": (
        lambda t, _: t.update({"conv2.weight": t["conv2.weight"][:, :3].copy()}),
        "layer conv2: weights of shape (8, 3, 5) and (8,), expected (8, 6, 5)",
    ),
    "transposed": (
        lambda t, _: t.update({"conv2.weight": t["conv2.weight"].transpose(1, 0, 2).copy()}),
        "layer conv2: weights of shape (6, 8, 5)",
    ),
    "double precision": (
        lambda t, _: t.update({"head.bias": t["head.bias"].astype(np.float64)}),
        "tensor head.bias is float64, expected float32",
    ),
    "another schema": (lambda _, d: d.update(schema=7), "schema 7, this version of edge-mi reads schema 2"),
    "unknown key": (lambda _, d: d["net"].update(residual=True), "unknown key net.residual"),
    "another rate": (lambda _, d: d["net"].update(rate_hz=250), "network at 250 Hz, signal chain at 100 Hz"),
    "another window": (lambda _, d: d["net"].update(window_samples=1000), "window of 1000 samples is not"),
    "not a number": (put("conv2.weight", np.nan), "layer conv2 has weights that are not finite"),
    "infinite": (put("conv1.weight", np.inf), "layer conv1 has weights that are not finite"),
    "minus infinity in a bias": (put("head.bias", -np.inf), "layer head has weights that are not finite"),
    "absurd weight": (put("conv2.weight", 1e38), "layer conv2: weights or biases too large for integers"),
    "dead input": (span("input", 0.0, 0.0), "ranges.tensors.input: an empty range: 0.0 to 0.0"),
    "inverted range": (span("conv1", 1.0, -1.0), "ranges.tensors.conv1: an empty range"),
    "dead layer": (span("conv1", 0.0, 1e-6), "layer conv1: its largest activation, 1e-06, is far below"),
    "range without a step": (span("input", -1e-300, 1e-300), "layer input: a range of -1e-300 to 1e-300"),
    "infinite range": (span("head", -1.0, float("inf")), "Infinity is not a JSON number"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_of_another_kind(name: str, tmp_path: Path, capsys: Output) -> None:
    words = export_toy(tmp_path)
    change, message = CHANGES[name]
    rewrite(tmp_path / "toy.safetensors", change)
    refused(words, tmp_path, capsys, message=message)


def zipped() -> bytes:
    """As torch.save writes it, down to what tells it apart."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"conv1.weight": [0.0] * 100}))
    return buffer.getvalue()


@pytest.mark.parametrize("content", [zipped(), pickle.dumps({"conv1.weight": [0.0] * 100})])
def test_a_pytorch_file_is_named_and_not_opened(content: bytes, tmp_path: Path, capsys: Output) -> None:
    words = export_toy(tmp_path)
    (tmp_path / "toy.safetensors").write_bytes(content)
    refused(
        words, tmp_path, capsys, message="a PyTorch or pickle file; export needs what edge-mi train writes"
    )


def test_a_file_that_torch_saved_is_named(tmp_path: Path, capsys: Output) -> None:
    torch = pytest.importorskip("torch")
    words = export_toy(tmp_path)
    for zipfile_serialization in (True, False):
        torch.save(
            {"conv1.weight": torch.zeros(3)}, tmp_path / "toy.safetensors",
            _use_new_zipfile_serialization=zipfile_serialization,
        )  # fmt: skip
        refused(words, tmp_path, capsys, message="a PyTorch or pickle file")


def test_tensors_of_something_else(tmp_path: Path, capsys: Output) -> None:
    import safetensors.numpy

    words = export_toy(tmp_path)
    (tmp_path / "toy.safetensors").write_bytes(safetensors.numpy.save({"embed": np.zeros((4, 4))}))
    refused(words, tmp_path, capsys, message="without edge_mi metadata; export needs our own checkpoint")


# calibration data


def test_a_store_at_another_rate(tmp_path: Path, capsys: Output) -> None:
    store = heart_store(tmp_path / "store")
    manifest = next(path for path in store.iterdir() if '"rate_hz": 100' in path.read_text(errors="ignore"))
    manifest.write_text(manifest.read_text().replace('"rate_hz": 100', '"rate_hz": 125'))
    words = [*export_toy(tmp_path), "--data", str(store)]
    refused(words, tmp_path, capsys, message="the store is at 125 Hz, expected 100 Hz: build it again")


def test_a_store_of_too_few_records(tmp_path: Path, capsys: Output) -> None:
    words = [*export_toy(tmp_path), "--data", str(heart_store(tmp_path / "store", records=24))]
    refused(words, tmp_path, capsys, message="18 records; activation ranges need at least 64")


def test_a_store_of_one_fold(tmp_path: Path, capsys: Output) -> None:
    words = [*export_toy(tmp_path), "--data", str(heart_store(tmp_path / "store", folds=1))]
    refused(words, tmp_path, capsys, message="the store has fold 1 only; ranges need records of another")


def test_a_store_of_records_shorter_than_the_window(tmp_path: Path, capsys: Output) -> None:
    words = [*export_toy(tmp_path), "--data", str(heart_store(tmp_path / "store", samples=200))]
    refused(words, tmp_path, capsys, message="records of 200 samples; a window has")


def test_a_store_in_which_nothing_moves(tmp_path: Path, capsys: Output) -> None:
    words = [*export_toy(tmp_path), "--data", str(heart_store(tmp_path / "store", gain=0.0))]
    refused(
        words, tmp_path, capsys, message="no activation ranges from 72 records: an empty range: 0.0 to 0.0"
    )


# places


def without_power() -> list[str]:
    """What runs a command as somebody who may not write everywhere."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv to give that up")
    return ["setpriv", "--bounding-set=-all"]


@pytest.mark.parametrize("deep", ["b", "new/folder/b"])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_an_output_folder_that_may_not_be_written(deep: str, force: list[str], tmp_path: Path) -> None:
    words, place = export_toy(tmp_path), tmp_path / "place"
    place.mkdir(mode=0o500)
    before = tree(tmp_path)
    done = subprocess.run(
        [*without_power(), sys.executable, "-m", "edge_mi", *words, "--out", str(place / deep), *force],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert one_line(done.stderr) == f"edge-mi: cannot write {place / deep}: Permission denied"
    assert tree(tmp_path) == before


def test_an_output_folder_that_may_not_be_looked_into(tmp_path: Path) -> None:
    words, place = export_toy(tmp_path), tmp_path / "place"
    place.mkdir(mode=0o000)
    done = subprocess.run(
        [*without_power(), sys.executable, "-m", "edge_mi", *words, "--out", str(place / "b")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert one_line(done.stderr) == f"edge-mi: cannot write {place / 'b'}: Permission denied"
    place.chmod(0o700)
    assert list(place.iterdir()) == []


def test_a_name_that_is_too_long(tmp_path: Path, capsys: Output) -> None:
    words = [*export_toy(tmp_path), "--out", str(tmp_path / ("b" * 300))]
    refused(words, tmp_path, capsys, message="File name too long")


class FullDisk:
    """A disk with room for `room` operations of a kind; the one after them fails, a write halfway through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str, folder: Path) -> None:
        self.done = 0
        self.room: float = float("inf")
        if kind == "write":
            opened = io.open

            def open_below(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
                handle = opened(file, mode, *args, **kwargs)
                if "w" in mode and folder in Path(str(file)).parents:
                    handle.write = self._writing(handle, handle.write)
                return handle

            monkeypatch.setattr(io, "open", open_below)
        else:
            call = getattr(os, kind)

            def counted(*args: Any, **kwargs: Any) -> Any:
                if kind != "mkdir" or not Path(args[0]).exists():
                    self._take()
                return call(*args, **kwargs)

            monkeypatch.setattr(os, kind, counted)

    def _take(self) -> None:
        self.done += 1
        if self.done == self.room + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _writing(self, handle: Any, write: Callable[[Any], int]) -> Callable[[Any], int]:
        def half(data: Any) -> int:
            try:
                self._take()
            except OSError:
                write(data[: len(data) // 2])
                handle.flush()
                raise
            return write(data)

        return half


@pytest.mark.usefixtures("few_windows")
@pytest.mark.parametrize(
    ("kind", "least", "replace"),
    [
        ("write", 10, False),
        ("fsync", 12, True),
        ("mkdir", 1, False),
        ("rename", 1, False),
        ("rename", 2, True),
        ("chmod", 1, True),
    ],
)
def test_a_disk_that_is_full_at_any_moment_leaves_what_was_there(
    kind: str, least: int, replace: bool, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*export_toy(tmp_path), "--sign", str(key_pair(tmp_path)[0])]
    target, other = tmp_path / "a" / "b", tmp_path / "n" / "c"
    if replace:
        for there in (target, other):
            assert main([*words, "--out", str(there)]) == 0
        words += ["--force", "--hop", "1.2"]
    disk = FullDisk(monkeypatch, kind, tmp_path)
    assert main([*words, "--out", str(other)]) == 0
    total = disk.done
    assert total >= least
    before = tree(tmp_path)
    for room in range(total):
        disk.done, disk.room = 0, room
        capsys.readouterr()
        code = main([*words, "--out", str(target)])
        disk.room = float("inf")
        assert code == 2
        assert "No space left on device" in one_line(capsys.readouterr().err)
        if kind == "fsync" and room == total - 1:  # the bundle is in its place, and only its name may be lost
            Bundle.load(target)
            assert [path.name for path in target.parent.iterdir()] == ["b"]
        else:
            assert tree(tmp_path) == before


def program(words: list[str], *, before: str = "", **how: Any) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, which runs `before` first."""
    code = f"{before}\nfrom edge_mi.cli.main import main\nraise SystemExit(main({words!r}))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, **how
    )


@pytest.mark.parametrize(
    ("largest", "message"),
    [(4_000, "cannot write {out}: File too large"), (2_000, "cannot write a draft: ONNX Runtime")],
)
def test_a_write_that_the_system_cuts_short_leaves_nothing(
    largest: int, message: str, tmp_path: Path
) -> None:
    """A limit on the size of files, which the system itself enforces in the middle of a write."""
    words = export_toy(tmp_path)
    before = tree(tmp_path)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))"
    done = program(words, before=limit)
    assert done.returncode == 2
    assert message.format(out=tmp_path / "b") in one_line(done.stderr)
    assert tree(tmp_path) == before


# interruptions

STOP = """
import os, signal
signal.signal({number}, signal.SIG_DFL)  # whoever runs the tests may ignore it, as nohup does
from importlib import import_module
from edge_mi.export import bundle_writer, measured_export
from edge_mi.export.check_windows import check_windows
bundle_writer.check_windows = lambda signal, net: check_windows(signal, net, 12.0)
module, _, path = {where!r}.partition(":")
*owners, name = path.split(".")
owner = import_module(module)
for part in owners:
    owner = getattr(owner, part)
call, calls = getattr(owner, name), []
def stopped(*args, **kwargs):
    calls.append(args)
    if {after} and len(calls) == {nth}:
        result = call(*args, **kwargs)
        os.kill(os.getpid(), {number})
        return result
    if len(calls) == {nth}:
        os.kill(os.getpid(), {number})
    return call(*args, **kwargs)
setattr(owner, name, stopped)
"""
# where the signal comes, at which call of it, and whether once it is done
MOMENTS = {
    "nothing made yet": ("edge_mi.export.bundle_writer:quantise", 1, False),
    "the folder was just made": ("pathlib:Path.mkdir", 2, True),
    "graphs": ("edge_mi.export.bundle_writer:write_tflite_front", 1, True),
    "inside another library": ("edge_mi.export.int8_check:open_session", 2, True),
    "halfway through the files": ("pathlib:Path.write_bytes", 4, False),
    "everything written": ("edge_mi.export.bundle_writer:_check_golden", 1, False),
    "comparing": ("edge_mi.export.agreement:OrtRunner", 1, True),
    "signing": ("edge_mi.signature:SigningKey.sign", 1, False),
    "syncing": ("os:fsync", 7, True),
    "moving away what was there": ("pathlib:Path.rename", 1, True),
}
SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "terminated"}


def stop(where: str, nth: int, after: bool, number: signal.Signals) -> str:
    return STOP.format(where=where, nth=nth, after=after, number=int(number))


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        *((moment, signal.SIGTERM) for moment in MOMENTS),
        ("the folder was just made", signal.SIGINT),
        ("comparing", signal.SIGINT),
        ("moving away what was there", signal.SIGINT),
        ("syncing", signal.SIGHUP),
    ],
)
def test_an_interrupted_export_leaves_what_was_there(
    moment: str, number: signal.Signals, tmp_path: Path
) -> None:
    where, nth, after = MOMENTS[moment]
    words = [*export_toy(tmp_path), "--sign", str(key_pair(tmp_path)[0]), "--force"]
    for name in ("b", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "model.json").write_text("the one before")
    before = tree(tmp_path)
    done = program(
        words, before=stop(where, nth, after, number), env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    )
    assert (done.returncode, one_line(done.stderr)) == (128 + number, f"edge-mi: {SIGNALS[number]}")
    assert "Traceback" not in done.stderr
    assert tree(tmp_path) == before


def test_an_export_that_is_interrupted_once_it_is_done_is_whole(tmp_path: Path) -> None:
    words = export_toy(tmp_path)
    done = program(words, before=stop("pathlib:Path.rename", 1, True, signal.SIGTERM))
    assert done.returncode == 128 + signal.SIGTERM
    assert Bundle.load(tmp_path / "b").info.net.name == "toy"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_interrupted_measurement_leaves_no_draft(tmp_path: Path) -> None:
    words = [*export_toy(tmp_path), "--data", str(heart_store(tmp_path / "store"))]
    (tmp_path / "tmp").mkdir()
    before = tree(tmp_path)
    moment = stop("edge_mi.export.measured_export:_measure", 1, False, signal.SIGTERM)
    done = program(words, before=moment, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    assert (done.returncode, one_line(done.stderr)) == (143, "edge-mi: terminated")
    assert tree(tmp_path) == before


def test_a_hangup_that_we_were_told_to_ignore_is_ignored(tmp_path: Path) -> None:
    """As nohup does it."""
    words = export_toy(tmp_path)
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    moment = stop("edge_mi.export.bundle_writer:quantise", 1, False, signal.SIGHUP)
    assert program(words, before=moment + ignore).returncode == 0
    assert Bundle.load(tmp_path / "b").info.net.name == "toy"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_export_that_is_stopped_from_outside_leaves_nothing(
    number: signal.Signals, tmp_path: Path
) -> None:
    words = export_toy(tmp_path)
    before = tree(tmp_path)
    export = subprocess.Popen(
        [sys.executable, "-m", "edge_mi", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert export.stderr is not None
    wait_for(export.stderr, "comparing")
    assert tree(tmp_path) != before
    export.send_signal(number)
    _, err = export.communicate(timeout=60)
    assert export.returncode == 128 + number
    assert one_line(err) == f"edge-mi: {SIGNALS[number]}"
    assert tree(tmp_path) == before
