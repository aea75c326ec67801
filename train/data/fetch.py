"""`edge-mi data fetch`: a published collection, whole or a part of it, in a folder of its own layout.

A file gets its name only when its hash is right, so in a folder that was begun here a name is proof enough, and a
rerun loads what is missing. Files of another origin are hashed before they are believed.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from edge_mi import strict
from edge_mi.errors import ConfigError, DownloadError, OutputError, RecordError
from edge_mi.files import file_sha256, output_error, write_file
from edge_mi.progress import Progress, size

from .check import MARK_NAME, SHOWN, Comparison, compare, wanted_lines
from .crew import Crew
from .retry import RetryPolicy
from .sums import SUMS_NAME, ListedFile, Sums, is_part, matcher, part_name
from .transfer import part_bytes
from .transport import Connection, Timeouts, TransferFault, server_address

MOST_JOBS: Final = 8
_LIST_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """only: glob patterns on the path. jobs: connections. verify: hash the files that are there already."""

    only: tuple[str, ...] = ()
    jobs: int = 4
    verify: bool = False
    timeouts: Timeouts = field(default_factory=Timeouts)
    policy: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MOST_JOBS:
            raise ConfigError(
                f"--jobs {self.jobs}; expected 1 to {MOST_JOBS}, which is what a public server bears"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPlan:
    """What there is to do. bytes_present: size of the whole files; bytes_begun: of the part files of the missing."""

    listed: int
    selected: int
    present: int
    bytes_present: int
    missing: int
    changed: int
    begun: int
    bytes_begun: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """What was done. wrong, refused, lost: files of these outcomes, and the first ten of each."""

    plan: FetchPlan
    loaded: int
    bytes_received: int
    wrong: int
    refused: int
    lost: int
    not_tried: int
    first_wrong: tuple[str, ...]
    first_refused: tuple[str, ...]
    first_lost: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Says that every file of the list at `list_sha256` that has its name in this folder was checked."""

    schema: int
    source: str
    list_sha256: str


def plan_fetch(url: str, out: Path, options: FetchOptions) -> FetchPlan:
    """What `fetch` would do; nothing is written. Asks the server for the list unless it is there.

    Raises as `fetch` does.
    """
    try:
        return _plan(url, out, options)
    except OSError as exc:
        raise output_error(out, exc) from exc


def _plan(url: str, out: Path, options: FetchOptions) -> FetchPlan:
    if _has_list_of(out, url):
        sums, digest = Sums.open(out / SUMS_NAME), _sha256(out / SUMS_NAME)
        return _survey(sums, out, options, hashed=options.verify or not _is_marked(out, digest))[1]
    with TemporaryDirectory(prefix="edge-mi-") as place:
        listed = _load_list(url, Path(place), options)
        _refuse_other_list(listed, out, url)
        hashed = options.verify or not _is_marked(out, _sha256(listed))
        return _survey(Sums.open(listed), out, options, hashed=hashed)[1]


def fetch(url: str, out: Path, options: FetchOptions) -> FetchResult:
    """Load what is missing of the collection at `url` into the folder `out`, which is made where it is not there.

    Raises ConfigError for options that fit nothing, DownloadError where the list cannot be had, RecordError where it
    is none, and OutputError for the disk. Files that do not come are in the result.
    """
    server_address(url)
    matcher(options.only)
    with _held(out):
        fresh = all(is_part(entry.name) for entry in list(out.iterdir()))
        if not _has_list_of(out, url):
            listed = _load_list(url, out, options)
            _refuse_other_list(listed, out, url)
            listed.replace(out / SUMS_NAME)
        sums, digest = Sums.open(out / SUMS_NAME), _sha256(out / SUMS_NAME)
        trusted = fresh or _is_marked(out, digest)
        found, plan = _survey(sums, out, options, hashed=options.verify or not trusted)
        for line in found.changed:
            _set_aside(out / sums[int(line)].path)
        if digest is not None and (trusted or not options.only):
            mark = Mark(schema=1, source=url, list_sha256=digest)
            write_file(out / MARK_NAME, strict.dumps(mark).encode())
        lines = np.sort(np.concatenate([found.missing, found.changed]))
        return _load(url, out, options, plan, (sums[int(line)] for line in lines))


def _load(
    url: str, out: Path, options: FetchOptions, plan: FetchPlan, todo: Iterator[ListedFile]
) -> FetchResult:
    total = plan.missing + plan.changed
    address = server_address(url)
    crew = Crew(
        lambda: Connection(address, options.timeouts),
        out,
        workers=min(options.jobs, total),
        policy=options.policy,
    )
    counts: Counter[str] = Counter()
    first: dict[str, list[str]] = {"wrong": [], "refused": [], "lost": []}
    received = 0
    with Progress(total, "fetching") as progress, closing(crew.load(todo)) as news:
        for item in news:
            if isinstance(item, int):
                received += item
                progress.advance(0, size(received))
                continue
            counts[item.kind] += 1
            progress.advance(1)
            if item.kind != "loaded" and len(first[item.kind]) < SHOWN:
                first[item.kind].append(f"{item.path} ({item.reason})" if item.reason else item.path)
    return FetchResult(
        plan=plan,
        loaded=counts["loaded"],
        bytes_received=received,
        wrong=counts["wrong"],
        refused=counts["refused"],
        lost=counts["lost"],
        not_tried=total - counts.total(),
        first_wrong=tuple(first["wrong"]),
        first_refused=tuple(first["refused"]),
        first_lost=tuple(first["lost"]),
    )


def _survey(sums: Sums, out: Path, options: FetchOptions, *, hashed: bool) -> tuple[Comparison, FetchPlan]:
    lines = wanted_lines(sums, options.only, SUMS_NAME)
    if hashed and out.is_dir():
        with Progress(len(lines), "hashing what is there") as progress:
            found = compare(sums, out, lines, jobs=os.cpu_count() or 1, done=progress.advance)
    else:
        found = compare(sums, out, lines, hashed=False)
    begun = [n for line in found.missing if (n := part_bytes(out, sums[int(line)].path))]
    return found, FetchPlan(
        listed=len(sums),
        selected=len(lines),
        present=found.whole,
        bytes_present=found.bytes_present,
        missing=len(found.missing),
        changed=len(found.changed),
        begun=len(begun),
        bytes_begun=sum(begun),
    )


def _load_list(url: str, place: Path, options: FetchOptions) -> Path:
    """SHA256SUMS.txt of `url` in a part file of `place`, whole and readable. Raises DownloadError, RecordError."""
    part = place / part_name(SUMS_NAME)
    connection = Connection(server_address(url), options.timeouts)
    failures = 0
    try:
        while True:
            try:
                answer = connection.get(SUMS_NAME)
                with part.open("wb") as file:
                    file.writelines(answer.blocks())
                    file.flush()
                    os.fsync(file.fileno())
                Sums.open(part)
                return part
            except TransferFault as fault:
                connection.close()
                failures += 1
                delay_s = options.policy.delay_s(
                    failures, chance=random.random(), retry_after_s=fault.retry_after_s  # noqa: S311
                )  # fmt: skip
                if not fault.again or failures >= _LIST_ATTEMPTS or delay_s is None:
                    part.unlink(missing_ok=True)
                    raise DownloadError(f"cannot get {url}/{SUMS_NAME}: {fault}") from fault
                time.sleep(delay_s)
    except RecordError as exc:
        part.unlink(missing_ok=True)
        raise RecordError(f"what {url} sends is no list of files: {exc}") from exc
    except OSError as exc:
        raise OutputError(f"cannot write {part}: {exc.strerror or exc}") from exc
    finally:
        connection.close()


def _has_list_of(out: Path, url: str) -> bool:
    """Whether the list in `out` is known to be the one that `url` has: what is published there does not change."""
    mark = _mark(out)
    return mark is not None and mark.source == url and mark.list_sha256 == _sha256(out / SUMS_NAME)


def _is_marked(out: Path, digest: str | None) -> bool:
    mark = _mark(out)
    return mark is not None and mark.list_sha256 == digest


def _mark(out: Path) -> Mark | None:
    try:
        return strict.loads((out / MARK_NAME).read_text(encoding="utf-8"), Mark)
    except (OSError, UnicodeDecodeError, strict.DocumentError):
        return None


def _refuse_other_list(listed: Path, out: Path, url: str) -> None:
    """Raises ConfigError where `out` holds a list, and it is another one."""
    if (out / SUMS_NAME).exists() and _sha256(out / SUMS_NAME) != _sha256(listed):
        if listed.parent == out:
            listed.unlink()
        raise ConfigError(
            f"{out / SUMS_NAME} is not the list of {url}; choose another folder for --out, or remove that file"
        )


def _set_aside(path: Path) -> None:
    """Make a file that is not the published one the beginning of its download: it may have been cut off."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder where the list has a file; move it away")
    try:
        path.replace(path.with_name(part_name(path.name)))
    except OSError as exc:
        raise OutputError(f"cannot replace {path}: {exc.strerror or exc}") from exc


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Make the folder and keep other downloads out of it. Raises OutputError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise OutputError(f"cannot write {out}: {exc.strerror or exc}") from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as exc:
        raise OutputError(f"{out} is being written by another edge-mi data fetch") from exc
    finally:
        os.close(handle)


def _sha256(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None
