"""What had been on the disk and is no longer what it was: said, and never cut off."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from edge_mi.firmware_bridge.recording import journal as codec
from edge_mi.firmware_bridge.recording.reader import Recording
from edge_mi.firmware_bridge.recording.recover import recover
from recordings import HOST_S, assert_same, endless, record
from torn import assert_consistent, assert_prefix, content, listed

from edge_mi.errors import RecordError
from edge_mi.samples import Chunk, Item


def stream(n: int, seed: int = 7) -> list[tuple[Item, float]]:
    return list(itertools.islice(endless(seed), n))


@pytest.mark.parametrize("closed", [True, False])
def test_every_flipped_bit_of_the_journal_is_noticed(tmp_path: Path, closed: bool) -> None:
    pushed = stream(4)
    items = [item for item, _ in pushed]
    record(tmp_path / "a", pushed, close=closed)
    path = tmp_path / "a" / "ecg.journal"
    whole = path.read_bytes()
    _, start = codec.decode_beginning(whole, "a")
    n_damaged = 0
    # a CRC notices every single bit alike; one of each byte is enough for the long first entry
    for bit in [*range(0, 8 * start, 9), *range(8 * start, 8 * len(whole))]:
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            recording = Recording.open(tmp_path / "a")
        except RecordError as exc:
            assert "damaged" in str(exc) or "no journal" in str(exc)
            n_damaged += 1
            if bit % 37 == 0:
                with pytest.raises(RecordError):
                    recover(tmp_path / "a")
                assert path.read_bytes() == flipped
            continue
        assert recording.problem is not None
        assert_prefix(recording, items)
    assert n_damaged > 2 * (len(whole) - start)


def test_a_flipped_bit_of_the_signal_is_noticed(tmp_path: Path) -> None:
    items: list[tuple[Item, float]] = [
        (Chunk(t_s=i / 13, samples_mv=np.arange(10) / 1000.0, rate_hz=130, index=10 * i), HOST_S + i / 13)
        for i in range(5)
    ]
    record(tmp_path / "a", items)
    path = tmp_path / "a" / "ecg.dat"
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(RecordError, match=rf"damaged at sample {bit // 8 // 30 * 10}\b"):
            Recording.open(tmp_path / "a")


def test_a_journal_of_another_version_is_called_so(tmp_path: Path) -> None:
    record(tmp_path / "a", [])
    path = tmp_path / "a" / "ecg.journal"
    framed = codec._framed(codec._Kind.BEGINNING, b'{"schema": 99, "colour": "red"}')
    path.write_bytes(codec.MAGIC + framed)
    with pytest.raises(RecordError, match="schema 99; this version reads 1"):
        Recording.open(tmp_path / "a")
    path.write_bytes(b"RIFF")
    with pytest.raises(RecordError, match="no journal of a recording: it starts with 52494646"):
        Recording.open(tmp_path / "a")


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("part", [0.5, 0.0, None])
def test_a_signal_that_was_half_copied_is_damage_and_costs_the_journal_nothing(
    tmp_path: Path, part: float | None, closed: bool
) -> None:
    pushed = stream(60)
    folder = tmp_path / "a"
    record(folder, pushed, close=closed)
    signal = (folder / "ecg.dat").read_bytes()
    if part is None:
        (folder / "ecg.dat").unlink()
    else:
        os.truncate(folder / "ecg.dat", int(len(signal) * part))
    before = content(folder)
    for look in (Recording.open, recover):
        with pytest.raises(
            RecordError, match=r"ecg\.dat is damaged: it ends before sample \d+, .*copy it again"
        ):
            look(folder)
    assert content(folder) == before
    (folder / "ecg.dat").write_bytes(signal)
    assert_same(Recording.open(folder).items(), [item for item, _ in pushed])


def test_an_end_that_is_not_where_the_journal_ends_is_damage(tmp_path: Path) -> None:
    record(tmp_path / "a", stream(20), close=False)
    path = tmp_path / "a" / "ecg.journal"
    path.write_bytes(path.read_bytes() + codec.encode_entry(codec.EndEntry(7)))
    with pytest.raises(RecordError, match="damaged: it was closed at sample 7, and what it lists ends at"):
        Recording.open(tmp_path / "a")


@pytest.mark.parametrize("closed", [True, False])
def test_missing_samples_of_a_gap_are_written_again(tmp_path: Path, closed: bool) -> None:
    pushed = stream(60)
    folder = tmp_path / "a"
    record(folder, pushed, close=closed)
    whole = (folder / "ecg.dat").read_bytes()
    gaps = listed((folder / "ecg.journal").read_bytes()).gaps
    spoiled = bytearray(whole)
    for start, end in gaps:
        spoiled[start:end] = bytes(end - start)
    (folder / "ecg.dat").write_bytes(spoiled)
    found = Recording.open(folder).problem
    assert found == f"ecg.dat is not what its journal says from sample {gaps[0][0] // 3} on"
    assert_consistent(recover(folder), [item for item, _ in pushed])
    assert (folder / "ecg.dat").read_bytes() == whole


@pytest.mark.parametrize("name", ["ecg.hea", "ecg.atr", "ecg.dec"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "longer"])
def test_a_file_beside_the_journal_that_is_not_what_it_says_is_noticed_and_mended(
    tmp_path: Path, name: str, how: str
) -> None:
    pushed = stream(60)
    record(tmp_path / "a", pushed)
    path = tmp_path / "a" / name
    before = content(tmp_path / "a")
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[:1], "longer": whole + b"x 16\n"}.get(how, b""))
    if how == "missing":
        path.unlink()
    expected = f"{name} is missing" if how == "missing" else f"{name} is not what ecg.journal says"
    assert Recording.open(tmp_path / "a").problem == expected
    assert_consistent(recover(tmp_path / "a"), [item for item, _ in pushed])
    assert {name: each for name, (_, each) in content(tmp_path / "a").items()} == {
        name: each for name, (_, each) in before.items()
    }


def test_a_comment_that_somebody_added_to_the_header_is_theirs(tmp_path: Path) -> None:
    record(tmp_path / "a", stream(60))
    with (tmp_path / "a" / "ecg.hea").open("a") as header:
        header.write("# after coffee\n")
    before = content(tmp_path / "a")
    assert recover(tmp_path / "a").problem is None
    assert content(tmp_path / "a") == before
