"""The list of a published folder: what it says is found again, and what could lead astray is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_mi.train.data.sums import ListedFile, Sums, is_part, matcher, part_name
from file_server import format_sums
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_mi.errors import ConfigError, RecordError

HASH = "ab" * 32

names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/\\"), min_size=1, max_size=8
).filter(lambda name: name not in (".", "..") and not is_part(name))
paths = (
    st.lists(names, min_size=1, max_size=3)
    .map("/".join)
    .filter(lambda path: path[0] not in " *" and path != "SHA256SUMS.txt")
)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
lists = st.lists(st.builds(ListedFile, paths, hashes), min_size=1, max_size=5, unique_by=lambda f: f.path)


@settings(max_examples=50)
@given(lists)
def test_a_list_is_read_as_it_was_written(files: list[ListedFile]) -> None:
    sums = Sums(format_sums(files))
    assert list(sums) == files
    assert [sums.find(file.path) for file in files] == list(range(len(files)))


@settings(max_examples=50)
@given(lists, paths)
def test_a_file_that_is_not_listed_is_not_found(files: list[ListedFile], other: str) -> None:
    sums = Sums(format_sums(files))
    assert (sums.find(other) is None) == (other not in {file.path for file in files})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_an_error(text: bytes) -> None:
    try:
        sums = Sums(text)
    except RecordError:
        return
    assert all(not file.path.startswith("/") and ".." not in file.path.split("/") for file in sums)


@pytest.mark.parametrize(
    "line", [f"{HASH} a", f"{HASH}  a", f"{HASH} *a", f"{HASH.upper()} a", f"{HASH} a\r"]
)
def test_the_forms_of_a_line(line: str) -> None:
    assert list(Sums(f"{line}\n".encode())) == [ListedFile("a", HASH)]


@pytest.mark.parametrize(
    "path",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/", "a\\b", "a\tb", "SHA256SUMS.txt", "d/.x.part"],
)
def test_a_path_that_could_leave_the_folder_or_hit_our_own_files(path: str) -> None:
    with pytest.raises(RecordError, match=r"the list, line 2: the path .* is refused"):
        Sums(f"{HASH} good\n{HASH} {path}\n".encode(), "the list")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "lists no file"),
        (b"<html>no such page</html>\n", "line 1: expected 64 hexadecimal digits"),
        (HASH.encode() + b"\n", "line 1: expected 64"),
        (HASH[1:].encode() + b" a\n", "line 1: expected 64"),
        (HASH.encode() + b" a\n\n", "line 2: expected 64"),
        (HASH.encode() + b" a", "line 1: the line has no end; the list was cut off"),
        (HASH.encode() + b" \xff\n", "is not UTF-8"),
        (f"{HASH} a\n{HASH} b\n{HASH} a\n".encode(), "lists a twice, in lines 1 and 3"),
    ],
)
def test_what_is_no_list(text: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        Sums(text)


def test_a_list_in_a_file_is_the_same_list(tmp_path: Path) -> None:
    text = format_sums([ListedFile("a", HASH), ListedFile("b/c", HASH)])
    (tmp_path / "sums").write_bytes(text)
    assert list(Sums.open(tmp_path / "sums")) == list(Sums(text))


def test_an_empty_file_and_none(tmp_path: Path) -> None:
    (tmp_path / "sums").touch()
    with pytest.raises(RecordError, match="lists no file"):
        Sums.open(tmp_path / "sums")
    with pytest.raises(RecordError, match="cannot read"):
        Sums.open(tmp_path / "none")


@pytest.mark.parametrize(
    ("patterns", "path", "fits"),
    [
        ([], "a/b.dat", True),
        (["records100/*"], "records100/00000/00001_lr.dat", True),
        (["records100/*"], "records500/00000/00001_hr.dat", False),
        (["*.csv", "*.hea"], "x/y.hea", True),
        (["*.CSV"], "x.csv", False),
    ],
)
def test_patterns(patterns: list[str], path: str, fits: bool) -> None:
    assert matcher(patterns)(path) == fits


def test_an_empty_pattern_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="--only is empty"):
        matcher([""])


@given(names)
def test_a_part_file_is_known_by_its_name(name: str) -> None:
    assert is_part(part_name(name))
