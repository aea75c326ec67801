"""A download survives what servers do to it: what has its name has its hash, and a rerun loads what is missing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from edge_mi.train.data.check import check_folder
from edge_mi.train.data.crew import Gate
from edge_mi.train.data.fetch import FetchOptions, FetchResult, fetch, plan_fetch
from edge_mi.train.data.retry import RetryPolicy
from edge_mi.train.data.sums import part_name
from edge_mi.train.data.transfer import Stopped, body_start
from edge_mi.train.data.transport import Timeouts, server_address
from file_server import Fault, FileServer, serving
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_mi.errors import ConfigError, DownloadError, OutputError, RecordError

BIG = np.random.default_rng(0).bytes(300_000)
FILES = {
    "LICENSE.txt": b"free\n", "records/1.dat": BIG, "records/1.hea": b"1 12 500\n", "records/a b#%.hea": b"odd",
    "empty": b"",
}  # fmt: skip
QUICK = RetryPolicy(first_delay_s=0.0)
STALL_S = 0.3


def options(**more: object) -> FetchOptions:
    return FetchOptions(policy=QUICK, timeouts=Timeouts(connect_s=5, stall_s=STALL_S), **more)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FILES) as running:
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "heart"


def content(folder: Path) -> dict[str, bytes]:
    """Every file by its path, but not ours."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("SHA256SUMS.txt", ".edge-mi-fetch.json")
    }


def load(server: FileServer, out: Path, **more: object) -> FetchResult:
    return fetch(server.url, out, options(**more))


def test_everything_that_is_listed_comes(server: FileServer, out: Path) -> None:
    result = load(server, out)
    assert content(out) == FILES
    assert (result.loaded, result.wrong, result.refused, result.lost, result.not_tried) == (5, 0, 0, 0, 0)
    assert result.bytes_received == sum(map(len, FILES.values()))
    assert check_folder(out).good


def test_a_rerun_asks_for_nothing(server: FileServer, out: Path) -> None:
    load(server, out)
    before = len(server.log)
    result = load(server, out)
    assert (result.loaded, result.plan.present, len(server.log)) == (0, 5, before)


def test_a_rerun_loads_what_is_missing(server: FileServer, out: Path) -> None:
    load(server, out)
    (out / "records/1.hea").unlink()
    before = len(server.log)
    load(server, out)
    assert [path for path, _ in server.log[before:]] == ["records/1.hea"]
    assert content(out) == FILES


def test_a_part_of_the_collection_and_then_the_rest(server: FileServer, out: Path) -> None:
    load(server, out, only=("records/1.*",))
    assert sorted(content(out)) == ["records/1.dat", "records/1.hea"]
    assert check_folder(out, only=("records/1.*",)).good
    assert not check_folder(out).good
    assert load(server, out).loaded == 3
    assert content(out) == FILES


FAULTS = {
    "breaks off": ([Fault(cut=70_000)], [0, 70_000]),
    "breaks off at once": ([Fault(cut=0)], [0, 0]),
    "breaks off often": ([Fault(cut=30_000)] * 9, [0, *range(30_000, 300_000, 30_000)]),
    "breaks off in chunks": ([Fault(chunked=True, cut=70_000)], [0, 70_000]),
    "sends no length": ([Fault(chunked=True)], [0]),
    "stalls": ([Fault(stall=70_000)], [0, 70_000]),
    "ignores the range": ([Fault(cut=70_000), Fault(whole=True)], [0, 70_000]),
    "sends another range": ([Fault(cut=70_000), Fault(elsewhere=True)], [0, 70_000, 0]),
    "corrupts a byte": ([Fault(flip=True)], [0, 0]),
    "corrupts the rest": ([Fault(cut=70_000), Fault(flip=True)], [0, 70_000, 0]),
    "says too long a length": ([Fault(lie=500)], [0, 300_000]),
    "says too short a length": ([Fault(lie=-500)], [0, 0]),
    "is ill for a while": ([Fault(status=500), Fault(status=502)], [0, 0, 0]),
    "is busy until a time that no clock has": (
        [Fault(status=503, headers={"Retry-After": "Wed, 01 Jan 2020 00:00:00 +99999999999999"})],
        [0, 0],
    ),
    "is busy": ([Fault(status=429, headers={"Retry-After": "0"}), Fault(status=503)], [0, 0, 0]),
    "sends us round": ([Fault(status=302, headers={"Location": "/files/heart/1.0/records/1.dat"})], [0, 0]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_server_does_once(server: FileServer, out: Path, name: str) -> None:
    faults, first_bytes = FAULTS[name]
    server.faults["records/1.dat"] = list(faults)
    result = load(server, out, only=("records/1.dat",))
    assert result.loaded == 1
    assert content(out) == {"records/1.dat": BIG}
    assert server.asked("records/1.dat") == first_bytes


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.one_of(
            st.builds(Fault, cut=st.integers(0, 300_000)),
            st.builds(Fault, flip=st.just(True), cut=st.integers(0, 300_000)),
            st.builds(Fault, whole=st.just(True), cut=st.integers(0, 300_000)),
            st.builds(Fault, chunked=st.just(True), cut=st.integers(0, 299_999)),
            st.just(Fault(status=503)),
        ),
        max_size=4,
    )
)
def test_whatever_happens_in_whatever_order_the_bytes_are_right_or_have_no_name(
    tmp_path_factory: pytest.TempPathFactory, faults: list[Fault]
) -> None:
    out = tmp_path_factory.mktemp("out")
    with serving({"1.dat": BIG}) as server:
        server.faults["1.dat"] = faults
        result = load(server, out)
    assert content(out).get("1.dat", BIG) == BIG
    assert result.loaded == (out / "1.dat").exists()


def test_a_hash_that_stays_wrong_leaves_no_file(server: FileServer, out: Path) -> None:
    server.always["records/1.dat"] = Fault(flip=True)
    result = load(server, out)
    assert (result.wrong, result.first_wrong, result.loaded) == (1, ("records/1.dat",), 4)
    assert content(out) == {path: data for path, data in FILES.items() if path != "records/1.dat"}
    assert len(server.asked("records/1.dat")) == QUICK.hash_attempts


def test_a_file_that_is_not_there_is_named_and_the_others_come(server: FileServer, out: Path) -> None:
    server.always["records/1.dat"] = Fault(status=404)
    result = load(server, out)
    assert (result.refused, result.first_refused) == (
        1,
        ("records/1.dat (the server answers 404 Not Found)",),
    )
    assert result.loaded == 4
    assert server.asked("records/1.dat") == [0]


def test_a_file_that_never_comes_whole_is_given_up_and_its_part_stays(server: FileServer, out: Path) -> None:
    server.always["records/1.dat"] = Fault(cut=0)
    server.faults["records/1.dat"] = [Fault(cut=70_000)]
    result = load(server, out)
    assert (result.lost, result.loaded) == (1, 4)
    assert "broke" in result.first_lost[0]
    assert (out / "records" / part_name("1.dat")).read_bytes() == BIG[:70_000]


def test_a_server_that_ignores_ranges_and_always_breaks_off_ends(server: FileServer, out: Path) -> None:
    server.always["records/1.dat"] = Fault(whole=True, cut=70_000)
    assert load(server, out).lost == 1
    assert len(server.asked("records/1.dat")) == QUICK.attempts


def test_a_dead_server_is_not_asked_for_every_file(out: Path) -> None:
    with serving({f"{i:03d}": b"x" for i in range(200)}) as server:
        server.always = {f"{i:03d}": Fault(status=500) for i in range(200)}
        result = load(server, out)
        assert result.loaded == 0
        assert result.not_tried > 150
        assert content(out).keys() <= {part_name(f"{i:03d}") for i in range(200)}


def test_a_long_pause_that_a_server_wants_is_not_waited_for(server: FileServer, out: Path) -> None:
    server.always["records/1.dat"] = Fault(status=503, headers={"Retry-After": "86400"})
    assert load(server, out).lost == 1
    assert server.asked("records/1.dat") == [0]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:1/x",
        "https://example.org/x",
        "http://127.0.0.1:1/x",
        "ftp://127.0.0.1/x",
        "http://[x/",
    ],
)
def test_no_other_host_is_asked(server: FileServer, out: Path, location: str) -> None:
    server.always["records/1.dat"] = Fault(status=301, headers={"Location": location})
    result = load(server, out)
    assert (result.refused, result.loaded) == (1, 4)


def test_a_circle_of_redirections_ends(server: FileServer, out: Path) -> None:
    server.always["empty"] = Fault(status=307, headers={"Location": "empty"})
    assert "more than 5 redirections" in load(server, out).first_refused[0]


def test_an_encoding_that_was_not_asked_for_is_refused(server: FileServer, out: Path) -> None:
    server.always["empty"] = Fault(headers={"Content-Encoding": "gzip"})
    assert load(server, out).refused == 1


def test_one_slow_file_holds_up_nobody(server: FileServer, out: Path) -> None:
    server.faults["LICENSE.txt"] = [Fault(late=True)]
    assert load(server, out, jobs=2).loaded == 5


def test_connections_are_kept(out: Path) -> None:
    with serving({f"{i:03d}": b"x" for i in range(50)}) as server:
        made = []
        finish = server.http.finish_request
        server.http.finish_request = lambda *a: (made.append(a), finish(*a))[1]  # type: ignore[method-assign]
        assert load(server, out, jobs=3).loaded == 50
        assert len(made) <= 4


def test_a_full_part_needs_no_more_bytes(server: FileServer, out: Path) -> None:
    """What a kill between the last byte and the name leaves behind."""
    (out / "records").mkdir(parents=True)
    (out / "records" / part_name("1.dat")).write_bytes(BIG)
    assert load(server, out, only=("records/1.dat",)).bytes_received == 0
    assert content(out) == {"records/1.dat": BIG}


@pytest.mark.parametrize("part", [BIG + b"more", b"x" * 300_000, b"x" * 70_000])
def test_a_part_of_something_else_is_replaced(server: FileServer, out: Path, part: bytes) -> None:
    (out / "records").mkdir(parents=True)
    (out / "records" / part_name("1.dat")).write_bytes(part)
    load(server, out, only=("records/1.dat",))
    assert content(out) == {"records/1.dat": BIG}


def test_files_of_another_origin_are_hashed_first(server: FileServer, out: Path) -> None:
    """A folder that another program left half loaded is completed, from where it stopped."""
    (out / "records").mkdir(parents=True)
    (out / "records/1.dat").write_bytes(BIG[:123_456])
    (out / "LICENSE.txt").write_bytes(FILES["LICENSE.txt"])
    result = load(server, out)
    assert content(out) == FILES
    assert (result.plan.present, result.plan.changed, result.loaded) == (1, 1, 4)
    assert server.asked("records/1.dat") == [123_456]


def test_a_part_of_a_strange_folder_does_not_vouch_for_the_rest(server: FileServer, out: Path) -> None:
    out.mkdir()
    (out / "LICENSE.txt").write_bytes(b"forged")
    load(server, out, only=("records/*",))
    load(server, out)
    assert content(out) == FILES


def test_verify_finds_what_changed_since(server: FileServer, out: Path) -> None:
    load(server, out)
    (out / "LICENSE.txt").write_bytes(b"forged")
    assert load(server, out).loaded == 0
    assert load(server, out, verify=True).loaded == 1
    assert content(out) == FILES


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(server: FileServer, out: Path) -> None:
    plan = plan_fetch(server.url, out, options(only=("records/*",)))
    assert (plan.listed, plan.selected, plan.missing, plan.present) == (5, 3, 3, 0)
    assert not out.exists()
    load(server, out)
    (out / "LICENSE.txt").rename(out / part_name("LICENSE.txt"))
    plan = plan_fetch(server.url, out, options())
    assert (plan.present, plan.missing, plan.begun, plan.bytes_begun) == (4, 1, 1, 5)
    assert {path for path, _ in server.log} == {"SHA256SUMS.txt", *FILES}


def test_the_folder_of_another_collection_is_left_alone(server: FileServer, out: Path) -> None:
    load(server, out)
    with serving({"other": b"x"}) as other, pytest.raises(ConfigError, match="is not the list of"):
        load(other, out)
    assert content(out) == FILES


def test_a_mirror_goes_on_with_the_same_folder(server: FileServer, out: Path) -> None:
    load(server, out, only=("empty",))
    with serving(FILES) as mirror:
        assert load(mirror, out).loaded == 4
        assert mirror.asked("empty") == []


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_list_that_cannot_be_had(server: FileServer, out: Path, status: int) -> None:
    server.always["SHA256SUMS.txt"] = Fault(status=status)
    with pytest.raises(DownloadError, match=rf"SHA256SUMS.txt: the server answers {status}"):
        load(server, out)
    assert list(out.iterdir()) == []


def test_a_list_that_breaks_off_is_loaded_again(server: FileServer, out: Path) -> None:
    server.faults["SHA256SUMS.txt"] = [Fault(cut=100), Fault(stall=100)]
    assert load(server, out).loaded == 5


@pytest.mark.parametrize("text", [b"<html></html>\n", b"", f"{'ab' * 32} ../up\n".encode()])
def test_a_page_in_place_of_the_list(server: FileServer, out: Path, text: bytes) -> None:
    server.files["SHA256SUMS.txt"] = text
    with pytest.raises(RecordError, match="is no list of files"):
        load(server, out)
    assert list(out.iterdir()) == []
    assert [path.name for path in out.parent.iterdir()] == ["heart"]


def test_patterns_that_fit_nothing(server: FileServer, out: Path) -> None:
    with pytest.raises(ConfigError, match="none of the 5 files"):
        load(server, out, only=("*.mat",))


@pytest.mark.parametrize("jobs", [0, 9])
def test_more_connections_than_a_server_bears(jobs: int) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 8"):
        FetchOptions(jobs=jobs)


@pytest.mark.parametrize(
    "url",
    ["ftp://host/x", "host/x", "http://", "http://user:secret@host/x", "http://host/x?y", "http://h:99999/"],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        server_address(url)
    assert "secret" not in str(error.value)


def test_two_downloads_into_one_folder(server: FileServer, out: Path) -> None:
    server.faults["records/1.dat"] = [Fault(stall=70_000)]
    first = threading.Thread(target=load, args=(server, out))
    first.start()
    server.stalled.wait(30)
    with pytest.raises(OutputError, match="is being written by another"):
        load(server, out)
    first.join()
    assert content(out) == FILES


def test_a_file_in_place_of_the_folder(server: FileServer, out: Path) -> None:
    out.write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        load(server, out)


def test_a_folder_in_place_of_a_file(server: FileServer, out: Path) -> None:
    (out / "LICENSE.txt").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"LICENSE.txt is a folder"):
        load(server, out)


def test_a_link_in_place_of_a_part_leads_nowhere(server: FileServer, out: Path, tmp_path: Path) -> None:
    out.mkdir()
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (out / part_name("empty")).symlink_to(victim)
    with pytest.raises(OutputError):
        load(server, out)
    assert victim.read_text() == "mine"


@pytest.mark.parametrize(
    ("status", "content_range", "part", "start"),
    [
        (200, None, 0, 0), (200, None, 7, 0), (206, "bytes 7-9/10", 7, 7), (206, "bytes 7-9/*", 7, 7),
        (206, "bytes 6-9/10", 7, -1), (206, None, 7, -1), (206, "nonsense", 7, -1), (416, "bytes */7", 7, None),
        (416, None, 0, -1),
    ],
)  # fmt: skip
def test_where_the_body_of_an_answer_belongs(
    status: int, content_range: str | None, part: int, start: int | None
) -> None:
    assert body_start(status, content_range, part) == start


def test_everybody_waits_while_the_server_wants_to_be_left_alone() -> None:
    now_s, waits = [100.0], []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        now_s[0] += seconds
        return False

    gate = Gate(wait, clock=lambda: now_s[0])
    gate.shut(5.0)
    gate.shut(3.0)
    gate.go_through()
    assert waits == [5.0, 0.0]


def test_nobody_waits_who_is_told_to_stop() -> None:
    gate = Gate(lambda _: True)
    gate.shut(1e9)
    with pytest.raises(Stopped):
        gate.go_through()


def test_the_hash_of_the_test_files_is_that_of_the_list(server: FileServer) -> None:
    line = server.files["SHA256SUMS.txt"].splitlines()[-1].decode()
    assert line == f"{hashlib.sha256(FILES['records/a b#%.hea']).hexdigest()} records/a b#%.hea"
