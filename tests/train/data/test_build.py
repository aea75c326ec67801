"""A pass over a collection gives the same bytes however often it was stopped, on any number of processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closed import close
from edge_mi.train.data import build, prepare
from edge_mi.train.data.build import build_store, store_name
from edge_mi.train.data.folds import fold_of
from edge_mi.train.data.ludb import Ludb
from edge_mi.train.data.ptbxl import PtbXl
from edge_mi.train.data.unfinished import UnfinishedStore
from fake_collection import FakeCollection
from layouts import wfdb_record
from real_data import real_data

from edge_mi.chain.chain import filter_segment
from edge_mi.cli.main import main
from edge_mi.errors import EdgeMIError, OutputError, RecordError, StoreError
from edge_mi.records import read_signals
from edge_mi.signal_design import SignalDesign
from edge_mi.store import MISSING_CODE, WindowStore, to_codes

N = 150  # 147 are listed


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "PART_RECORDS", 16)


@pytest.fixture
def faults(tmp_path: Path) -> Path:
    (tmp_path / "faults").mkdir()
    return tmp_path / "faults"


def content(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, design: SignalDesign) -> dict[str, bytes]:
    """The files of a store that was built in one go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "PART_RECORDS", 16)
        out = tmp_path_factory.mktemp("whole") / "store"
        build_store(FakeCollection(N), out, design, jobs=1)
    return content(out)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Stopped(Exception):
    """Ends a pass in a test."""


def stop_after(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the pass when it is about to append one part more."""
    append, done = UnfinishedStore.append, []

    def count(self: UnfinishedStore, part: Any) -> None:
        if len(done) == parts:
            raise Stopped
        done.append(part)
        append(self, part)

    monkeypatch.setattr(UnfinishedStore, "append", count)


def stopped_pass(out: Path, design: SignalDesign, parts: int = 5, **collection: Any) -> Path:
    """Build `out` up to `parts` parts; the folder of the unfinished store."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(parts, patch)
        with pytest.raises(Stopped):
            build_store(FakeCollection(N, **collection), out, design, jobs=1)
    return out.parent / f".{out.name}.part"


def test_the_store_holds_what_was_listed_and_read(design: SignalDesign, tmp_path: Path) -> None:
    collection = FakeCollection(40, leads=("I", "II", "V2"), rate_hz=500)
    manifest = build_store(collection, tmp_path / "store", design, jobs=1)
    store = WindowStore.open(tmp_path / "store")
    listed = list(collection.records())
    assert tuple(store.records) == tuple(item.record for item in listed)
    expected = filter_segment(design, 500, collection.read(listed[7])[0])
    np.testing.assert_allclose(store.signals_mv(np.array([7]), "V2")[0], expected[2], atol=0.51 / 4096)
    assert (manifest.source.name, manifest.source.source_rate_hz, manifest.leads) == (
        "fake",
        500,
        collection.leads,
    )
    assert files(tmp_path) == ["store"]


@pytest.mark.parametrize("jobs", [2, 3])
def test_any_number_of_processes_gives_the_same_bytes(
    jobs: int, design: SignalDesign, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=jobs)
    assert content(tmp_path / "store") == whole


def test_parts_of_another_size_give_the_same_bytes(
    design: SignalDesign, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PART_RECORDS", 7)
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    assert content(tmp_path / "store") == whole


@pytest.mark.parametrize("parts", [1, 5, 9])
def test_a_stopped_pass_goes_on_to_the_same_bytes(
    parts: int, design: SignalDesign, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    stopped_pass(tmp_path / "store", design, parts)
    assert files(tmp_path) == [".store.part"]
    said: list[str] = []
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=1, say=said.append)
    assert f"going on after {16 * parts} of 147 records" in said
    assert content(tmp_path / "store") == whole
    assert files(tmp_path) == ["store"]


def test_a_pass_that_did_nothing_leaves_nothing(design: SignalDesign, tmp_path: Path) -> None:
    stopped_pass(tmp_path / "store", design, 0)
    assert files(tmp_path) == []


def cut(path: Path, n_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:-n_bytes])


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def garbage(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"listed": 16, "listed_sha256": "torn')


DAMAGE: dict[str, Callable[[Path], object]] = {
    "signals are cut short": lambda folder: cut(folder / "store" / "signals.npy", 1000),
    "signals are gone": lambda folder: (folder / "store" / "signals.npy").unlink(),
    "a sample was changed": lambda folder: flip(folder / "store" / "signals.npy", 100_000),
    "signals go on": lambda folder: garbage(folder / "store" / "signals.npy"),
    "labels are cut short": lambda folder: cut(folder / "labels.jsonl", 10),
    "labels go on": lambda folder: garbage(folder / "labels.jsonl"),
    "a label was changed": lambda folder: flip(folder / "labels.jsonl", 100),
    "the journal is torn": lambda folder: garbage(folder / "journal.jsonl"),
    "the journal lost its end": lambda folder: cut(folder / "journal.jsonl", 10),
    "the journal was changed": lambda folder: flip(folder / "journal.jsonl", 200),
    "the journal is empty": lambda folder: (folder / "journal.jsonl").write_bytes(b""),
    "a manifest lies there": lambda folder: (folder / "store" / "manifest.json").write_text("half"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_certain_is_done_again(
    damage: str, design: SignalDesign, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    DAMAGE[damage](stopped_pass(tmp_path / "store", design))
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    assert content(tmp_path / "store") == whole


@pytest.mark.parametrize("call", range(0, 12, 3))
def test_a_full_disk_keeps_what_is_done(
    call: int, design: SignalDesign, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 10 + call:
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        OutputError, match="No space left on device; what is done is kept: repeat the command"
    ):
        build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    monkeypatch.undo()
    monkeypatch.setattr(build, "PART_RECORDS", 16)
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    assert content(tmp_path / "store") == whole
    assert files(tmp_path) == ["store"]


@pytest.mark.parametrize("call", range(32, 37))
def test_a_full_disk_while_publishing_keeps_what_is_done(
    call: int, design: SignalDesign, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last calls sync the finished store; whichever fails, the next run gives the store."""
    fsync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    try:
        build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    except OutputError:
        if not (tmp_path / "store").exists():
            build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    assert len(calls) >= call, "a pass syncs fewer times: this case injects nothing"
    assert content(tmp_path / "store") == whole


def test_a_worker_that_is_killed_costs_the_parts_on_their_way(
    design: SignalDesign, faults: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    (faults / "140").write_text("exit")
    with pytest.raises(EdgeMIError, match="ended from outside"):
        build_store(FakeCollection(N, faults), tmp_path / "store", design, jobs=2)
    (faults / "140").unlink()
    build_store(FakeCollection(N, faults), tmp_path / "store", design, jobs=2)
    assert content(tmp_path / "store") == whole


_PASS = """
import sys
from pathlib import Path
from edge_mi.train.data import build
from edge_mi.train.filters import design_signal_chain
from fake_collection import FakeCollection
from real_data import real_data
if __name__ == "__main__":
    build.PART_RECORDS = 16
    collection = FakeCollection({n}, Path(sys.argv[1]))
    build.build_store(collection, Path(sys.argv[2]), design_signal_chain(100), jobs={jobs})
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_process_costs_what_was_on_its_way(
    jobs: int, design: SignalDesign, faults: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """Record 140 waits until everybody has been killed; the workers end with their parent."""
    (faults / "140").write_text("wait")
    script = tmp_path / "one_pass.py"
    script.write_text(_PASS.format(n=N, jobs=jobs))
    support = str(Path(__file__).parents[2] / "support")
    out = tmp_path / "out" / "store"
    process = subprocess.Popen(
        [sys.executable, str(script), str(faults), str(out)],
        env={**os.environ, "PYTHONPATH": support}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    while "128/147" not in (line := process.stderr.readline()):
        assert line, "the process ended before it came to the record that waits"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.read()  # returns when the workers, which hold the other end, have ended as well
    process.stderr.close()
    (faults / "140").unlink()
    build_store(FakeCollection(N, faults), out, design, jobs=1)
    assert content(out) == whole


def test_two_passes_at_once_are_refused(design: SignalDesign, tmp_path: Path) -> None:
    first = UnfinishedStore(tmp_path / "store", "key", 2, 1000)
    with pytest.raises(OutputError, match="is being built by another process"):
        build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    first.close()


@pytest.mark.parametrize("other", [{"name": "other"}, {"leads": ("I", "V1")}])
def test_an_unfinished_store_of_something_else_is_kept_unless_forced(
    other: dict[str, Any], design: SignalDesign, tmp_path: Path
) -> None:
    stopped_pass(tmp_path / "store", design, **other)
    with pytest.raises(OutputError, match=r"of another store .* add --force to begin anew"):
        build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    said: list[str] = []
    build_store(FakeCollection(N, **other), tmp_path / "store", design, jobs=1, say=said.append)
    assert "going on after 80 of 147 records" in said


def test_force_begins_anew(design: SignalDesign, tmp_path: Path, whole: dict[str, bytes]) -> None:
    stopped_pass(tmp_path / "store", design, name="other")
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=1, force=True)
    assert content(tmp_path / "store") == whole


def test_a_collection_that_changed_is_noticed(
    design: SignalDesign, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = FakeCollection.records
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeCollection, "records", lambda self: list(records(self))[1:].__iter__())
        stopped_pass(tmp_path / "store", design)
    with pytest.raises(StoreError, match=r"lists other records than when .* was begun: add --force"):
        build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=1, force=True)
    assert content(tmp_path / "store") == whole


def test_what_a_kill_left_behind_a_finished_store_is_swept_away(design: SignalDesign, tmp_path: Path) -> None:
    build_store(FakeCollection(20), tmp_path / "store", design, jobs=1)
    (tmp_path / ".store.part").mkdir()
    (tmp_path / ".store.part" / "journal.jsonl").touch()
    with pytest.raises(OutputError, match="exists"):
        build_store(FakeCollection(20), tmp_path / "store", design, jobs=1)
    assert files(tmp_path) == ["store"]


def test_a_store_is_replaced_only_with_force(
    design: SignalDesign, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    build_store(FakeCollection(20), tmp_path / "store", design, jobs=1)
    with pytest.raises(OutputError, match="exists; choose another folder or add --force"):
        build_store(FakeCollection(N), tmp_path / "store", design, jobs=1)
    build_store(FakeCollection(N), tmp_path / "store", design, jobs=1, force=True)
    assert content(tmp_path / "store") == whole
    assert files(tmp_path) == ["store"]


def test_whatever_is_left_out_has_a_reason_and_a_number(
    design: SignalDesign, faults: Path, tmp_path: Path
) -> None:
    for number, word in enumerate(("damaged", "short", "gone", "rate", "gap", "damaged", "short")):
        (faults / str(number)).write_text(word)
    said: list[str] = []
    manifest = build_store(FakeCollection(N, faults), tmp_path / "store", design, jobs=1, say=said.append)
    assert manifest.left_out == {
        "a rate that is not listed": 1,
        "damaged": 2,
        prepare.MISSING: 1,
        "no file here": 3,
        "shorter than 10 s": 2,
    }
    assert [text for text in said if "damaged" in text] == [
        "left out, damaged: 00000: 0.dat is cut short",
        "left out, damaged: 00005: 5.dat is cut short",
    ]
    store = WindowStore.open(tmp_path / "store")
    assert store.ids_of([0, 1]) == ["00004", "00007"]
    assert manifest.source.selection == "folds 1 to 9, 141 of 150 records"


def test_missing_samples_are_told_from_zero(design: SignalDesign, faults: Path, tmp_path: Path) -> None:
    (faults / "4").write_text("gap")
    manifest = build_store(FakeCollection(40, faults), tmp_path / "store", design, jobs=1)
    store = WindowStore.open(tmp_path / "store")
    rows = np.arange(len(store))
    missing = np.isnan(store.signals_mv(rows, "II"))
    assert manifest.missing_samples == 100 == missing.sum() == missing[4, 400:500].sum()
    assert (store.codes[4, 1, 400:500] == MISSING_CODE).all()
    assert not np.isnan(store.signals_mv(rows)).any()
    assert (store.signals_mv(rows, "II", missing_mv=0.0)[4, 400:500] == 0).all()


def test_only_the_first_damaged_records_are_named(design: SignalDesign, faults: Path, tmp_path: Path) -> None:
    for number in range(0, 36, 3):
        (faults / str(number)).write_text("damaged")
    said: list[str] = []
    manifest = build_store(FakeCollection(300, faults), tmp_path / "store", design, jobs=1, say=said.append)
    assert manifest.left_out["damaged"] == 12
    assert sum("damaged" in text for text in said) == 10


def test_a_place_that_may_not_be_entered_is_refused(
    design: SignalDesign, ptbxl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(tmp_path / "closed", monkeypatch)
    with pytest.raises(OutputError, match=r"cannot write .*closed/store"):
        build_store(FakeCollection(4), tmp_path / "closed" / "store", design, jobs=1)
    shutil.rmtree(ptbxl / "records100")
    close(ptbxl / "records100", monkeypatch)
    with pytest.raises((RecordError, StoreError)) as caught:
        build_store(PtbXl(ptbxl), tmp_path / "store", design, jobs=1)
    assert "Permission denied" in str(caught.value) or "no record can be used" in str(caught.value)


def ludb_folder(folder: Path, records: int, damaged: int) -> Ludb:
    """LUDB of so many records of folds 1 to 9, of which the first ones have headers that are cut short."""
    kept = [name for name in map(str, range(1, 2 * records)) if fold_of(f"ludb/{name}") != 10][:records]
    for number, name in enumerate(kept):
        header = wfdb_record(folder, name, comments=["#<diagnoses>:", "#Rhythm: Sinus rhythm."])
        if number < damaged:
            header.write_text(header.read_text()[:20])
    return Ludb(folder)


def test_a_damaged_header_is_left_out_with_its_path_like_a_damaged_signal(
    design: SignalDesign, tmp_path: Path
) -> None:
    collection = ludb_folder(tmp_path / "ludb", records=20, damaged=1)
    said: list[str] = []
    manifest = build_store(collection, tmp_path / "store", design, jobs=1, say=said.append)
    assert (manifest.records, manifest.left_out) == (19, {"damaged": 1})
    (named,) = [text for text in said if "damaged" in text]
    assert f"left out, damaged: 1: the header {tmp_path / 'ludb' / '1.hea'} cannot be used (" in named


def test_too_many_damaged_headers_stop_the_pass(design: SignalDesign, tmp_path: Path) -> None:
    collection = ludb_folder(tmp_path / "ludb", records=20, damaged=2)
    with pytest.raises(RecordError, match="2 of 20 records are damaged, at most 5% may be") as caught:
        build_store(collection, tmp_path / "store", design, jobs=1)
    assert str(tmp_path / "ludb" / "1.hea") in str(caught.value)
    assert files(tmp_path) == ["ludb"]


def test_too_many_damaged_records_stop_the_pass(design: SignalDesign, faults: Path, tmp_path: Path) -> None:
    for number in range(20, 28):
        (faults / str(number)).write_text("damaged")
    with pytest.raises(
        RecordError,
        match=r"8 of 147 records are damaged, at most 5% may be; the first is 00020: 20\.dat is cut short",
    ):
        build_store(FakeCollection(N, faults), tmp_path / "store", design, jobs=1)
    assert files(tmp_path) == ["faults"]


def test_a_patient_in_two_folds_is_refused_before_anything_is_read(
    design: SignalDesign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCollection, "read", None)
    with pytest.raises(StoreError, match="patient fake/é20 is in folds 3 and 4"):
        build_store(FakeCollection(N, straddling=41), tmp_path / "store", design, jobs=1)


@pytest.mark.parametrize("n", [0, 1])
def test_a_collection_without_a_record_is_an_error(
    n: int, design: SignalDesign, faults: Path, tmp_path: Path
) -> None:
    (faults / "0").write_text("short")
    with pytest.raises(StoreError, match="fake: no record can be used"):
        build_store(FakeCollection(n, faults), tmp_path / "store", design, jobs=1)
    assert files(tmp_path) == ["faults"]


def test_few_parts_are_on_their_way_at_a_time(design: SignalDesign) -> None:
    """The listing is taken as fast as parts are, not at once."""
    taken = []

    def listing() -> Iterator[Any]:
        for listed in FakeCollection(10_000).records():
            taken.append(listed)
            yield listed

    preparation = prepare.Preparation(FakeCollection(10_000), design)
    parts = build._parts(preparation, listing(), jobs=2)
    next(parts)
    assert len(taken) <= 16 * 5
    parts.close()


def test_the_name_of_a_store_follows_its_data(ptbxl: Path, design: SignalDesign) -> None:
    names = {store_name(PtbXl(ptbxl), design), store_name(PtbXl(ptbxl, rate_hz=500), design)}
    assert store_name(PtbXl(ptbxl), design) in names
    (ptbxl / "records100" / "00000" / "00001_lr.hea").unlink()
    names.add(store_name(PtbXl(ptbxl), design))
    assert len(names) == 3


def test_fold_10_is_never_read(ptbxl: Path, design: SignalDesign, tmp_path: Path) -> None:
    """Its record's signal file is broken: reading it would fail."""
    manifest = build_store(PtbXl(ptbxl), tmp_path / "store", design)
    assert WindowStore.open(tmp_path / "store").folds.tolist() == [1, 2, 2, 9, 3]
    assert (manifest.source.selection, manifest.source.records_absent) == ("folds 1 to 9, 5 of 6 records", 1)


def test_every_lead_passes_the_signal_chain(ptbxl: Path, design: SignalDesign, tmp_path: Path) -> None:
    build_store(PtbXl(ptbxl), tmp_path / "store", design)
    store = WindowStore.open(tmp_path / "store")
    signals = read_signals(ptbxl / "records100" / "00000" / "00001_lr")
    expected = filter_segment(design, 100, signals.samples_mv[4])
    np.testing.assert_allclose(store.signals_mv(np.array([0]), "aVL")[0], expected, atol=0.51 / 4096)


def test_real_records_go_through_lead_by_lead_also_after_a_stop(
    design: SignalDesign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = PtbXl(real_data("ptbxl"), rate_hz=500)
    listed = list(islice(collection.records(), 24))
    monkeypatch.setattr(PtbXl, "records", lambda self: iter(listed))
    with pytest.MonkeyPatch.context() as patch:
        stop_after(1, patch)
        with pytest.raises(Stopped):
            build_store(collection, tmp_path / "store", design, jobs=1)
    build_store(collection, tmp_path / "store", design, jobs=1)
    store = WindowStore.open(tmp_path / "store")
    assert tuple(store.records) == tuple(item.record for item in listed)
    for row in (0, 15, 16, 23):
        leads = [filter_segment(design, 500, lead) for lead in collection.read(listed[row])[0]]
        assert np.array_equal(store.codes[row], to_codes(np.stack(leads))[0])


def test_the_command_says_what_it_made(
    ptbxl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "store"
    words = [
        "data",
        "build",
        "ptbxl",
        "--data",
        str(ptbxl),
        "--out",
        str(out),
        "--rate",
        "500",
        "--jobs",
        "1",
    ]
    assert main(words) == 0
    page = capsys.readouterr().out
    assert "5 records (folds 1 to 9, 5 of 6 records), 1000 samples of 12 leads at 100 Hz" in page
    assert "1  no file here" in page
    assert WindowStore.open(out).manifest.source.source_rate_hz == 500


def test_the_label_rule_is_the_one_asked_for(ptbxl: Path, tmp_path: Path) -> None:
    words = ["data", "build", "ptbxl", "--data", str(ptbxl), "--out", str(tmp_path / "store"), "--jobs", "1"]
    assert main([*words, "--likelihood", "50", "--negatives", "norm"]) == 0
    store = WindowStore.open(tmp_path / "store")
    assert (store.labels.tolist(), store.norms.tolist()) == ([0, 1], [1, 0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ptbxl", "--data", "nowhere"], "nowhere"),
        (["nothing"], "no collection 'nothing'; expected one of ptbxl"),
        (["ptbxl", "--jobs", "0"], "--jobs must be at least 1"),
        (["ptbxl", "--likelihood", "101"], "a likelihood of 101 %"),
        (["ludb", "--rate", "100"], "leave the rate out"),
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
    assert main(["data", "build", *words, "--out", str(tmp_path / "store")]) == 2
    error = capsys.readouterr().err
    assert message in error.splitlines()[-1]
    assert files(tmp_path) == []


def test_the_command_needs_no_torch() -> None:
    code = "import sys\nimport edge_mi.train.data.commands\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
