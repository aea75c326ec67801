"""The preprocessing pass: any collection into a window store, on all cores, in constant memory, to be gone on with.

The listing is cut into parts, the parts are prepared by workers and come back in order, so that the bytes of a
store depend neither on the number of workers nor on how often the pass was killed (contract C9).
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from edge_mi import strict
from edge_mi.errors import EdgeMIError, OutputError, RecordError, StoreError
from edge_mi.files import check_free, output_error
from edge_mi.progress import Progress
from edge_mi.signal_design import SignalDesign
from edge_mi.store import Manifest, StoreSource, filter_sha256
from edge_mi.store.labels import two_folds
from edge_mi.store.manifest import FILES, SCHEMA, software_versions
from edge_mi.workers import WorkerPool

from .collection import ABSENT, HELD_BACK, Collection, ListedRecord
from .prepare import DAMAGED, MAX_MISSING_SHARE, Preparation, StorePart, listing_sha256
from .unfinished import UnfinishedStore, sweep

PART_RECORDS: Final = 128  # 3 MB of twelve leads of 10 s
MAX_DAMAGED_SHARE: Final = 0.05
FEW: Final = 64  # starting a process costs more than these

Say = Callable[[str], None]


def build_store(
    collection: Collection,
    out: Path,
    design: SignalDesign,
    *,
    jobs: int | None = None,
    force: bool = False,
    say: Say = lambda text: None,
) -> Manifest:
    """Filter every record of `collection` with `design` and write the store `out`; a killed pass is gone on with.

    jobs: processes (default: one a core). force: replace what is at `out`, and forget an unfinished pass of
    something else. say: takes what a user should know, a line each.
    Raises RecordError for a collection that is not as published or of which more than 5 % is damaged, StoreError
    for a patient in two folds or no record that can be kept, OutputError where `out` cannot be written.
    """
    target = Path(os.path.abspath(out))  # noqa: PTH100  resolve() would follow a link that force must replace
    sweep(target)
    check_free(target, FILES, force)
    say(f"listing {collection.info.name}")
    total = check_listing(collection)
    preparation = Preparation(collection, design)
    try:
        unfinished, listing = _begin(preparation, target, force)
        try:
            _fill(unfinished, preparation, listing, total, jobs or os.cpu_count() or 1, say)
            return _finish(unfinished, preparation)
        finally:
            if unfinished.parts:
                unfinished.close()
            else:
                unfinished.discard()
    except OSError as exc:
        raise OutputError(f"{output_error(target, exc)}; what is done is kept: repeat the command") from exc
    except BrokenProcessPool as exc:
        raise EdgeMIError(
            "a process was ended from outside (out of memory?); what is done is kept: repeat the command"
        ) from exc


def store_name(collection: Collection, design: SignalDesign) -> str:
    """A folder name that changes with what the collection lists here, its rule and the filter."""
    digest = hashlib.sha256(_key(Preparation(collection, design)).encode())
    listing = _records(collection)
    while part := list(islice(listing, PART_RECORDS)):
        digest.update(listing_sha256(part).encode())
    return f"store-{digest.hexdigest()[:12]}"


def check_listing(collection: Collection) -> int:
    """How many records `collection` lists; so what is wrong with the listing is said before hours of work.

    Nine bytes a record are kept. Raises StoreError for a patient in two folds or a listing without records.
    """
    keys, folds = array("Q"), array("b")
    for listed in _records(collection):
        keys.append(_patient_key(listed))
        folds.append(listed.record.fold)
    if not keys:
        raise StoreError(f"{collection.info.name}: no record can be used ({_reasons(collection.left_out)})")
    order = np.argsort(np.array(keys, dtype=np.uint64), kind="stable")
    key, fold = np.array(keys, dtype=np.uint64)[order], np.array(folds)[order]
    wrong = np.flatnonzero((key[1:] == key[:-1]) & (fold[1:] != fold[:-1]))
    if len(wrong):
        first = wrong[0]
        name = next(
            listed.record.patient_id for listed in _records(collection) if _patient_key(listed) == key[first]
        )
        raise StoreError(two_folds(name, int(fold[first]), int(fold[first + 1])))
    return len(keys)


def _records(collection: Collection) -> Iterator[ListedRecord]:
    """The listing. Raises RecordError too where a place in the collection may not be looked into."""
    try:
        yield from collection.records()
    except OSError as exc:
        raise RecordError(
            f"{collection.info.name}: cannot read {exc.filename or 'the collection'}: {exc.strerror or exc}"
        ) from exc


def _patient_key(listed: ListedRecord) -> int:
    return int.from_bytes(hashlib.blake2b(listed.record.patient_id.encode(), digest_size=8).digest())


def _key(preparation: Preparation) -> str:
    """A hash of all that decides the bytes of a store beside the records themselves."""
    content = {
        "schema": SCHEMA,
        "collection": strict.encode(preparation.collection.info),
        "filter": filter_sha256(preparation.design),
        "samples": preparation.samples,
        "missing": MAX_MISSING_SHARE,
        "part": PART_RECORDS,
        "versions": software_versions(),
    }
    return hashlib.sha256(strict.dumps(content).encode()).hexdigest()


def _begin(
    preparation: Preparation, target: Path, force: bool
) -> tuple[UnfinishedStore, Iterator[ListedRecord]]:
    """The store as far as it is done, and what is listed after that."""
    collection = preparation.collection
    leads = len(collection.info.leads)
    unfinished = UnfinishedStore(target, _key(preparation), leads, preparation.samples, force=force)
    listing = _records(collection)
    for listed, sha256 in unfinished.parts:
        if listing_sha256(list(islice(listing, listed))) == sha256:
            continue
        if not force:
            unfinished.close()
            raise StoreError(
                f"{collection.info.name} lists other records than when {unfinished.folder} was begun: add --force "
                "to begin anew"
            )
        unfinished.discard()
        return _begin(preparation, target, force)
    return unfinished, listing


def _fill(
    unfinished: UnfinishedStore,
    preparation: Preparation,
    listing: Iterator[ListedRecord],
    total: int,
    jobs: int,
    say: Say,
) -> None:
    done = sum(listed for listed, _ in unfinished.parts)
    if done:
        say(f"going on after {done} of {total} records")
    named = 0
    with Progress(total, "filtering", done=done) as progress:
        for part in _parts(preparation, listing, jobs if total - done > FEW else 1):
            unfinished.append(part)
            progress.advance(part.listed)
            for text in unfinished.counts.damaged[named:]:
                say(f"left out, damaged: {text}")
            named = len(unfinished.counts.damaged)
            _check_damaged(unfinished, total)


def _check_damaged(unfinished: UnfinishedStore, total: int) -> None:
    damaged = unfinished.counts.left_out[DAMAGED]
    if damaged > MAX_DAMAGED_SHARE * total:
        unfinished.discard()  # records that are mended must not stay left out
        raise RecordError(
            f"{damaged} of {total} records are damaged, at most {MAX_DAMAGED_SHARE:.0%} may be; the first is "
            f"{unfinished.counts.damaged[0]}: download the collection again"
        )


def _parts(preparation: Preparation, listing: Iterator[ListedRecord], jobs: int) -> Iterator[StorePart]:
    """Prepared parts in the order of the listing; a few at a time are on their way, whatever the collection holds."""
    chunks = iter(lambda: list(islice(listing, PART_RECORDS)), [])
    if jobs <= 1:
        yield from map(preparation.part, chunks)
        return
    with WorkerPool(jobs, _receive, preparation) as pool:
        # a record may be what killed a worker: it is not tried again here
        yield from pool.in_order(_work, chunks, ahead=2 * jobs + 1)


_preparation: Preparation


def _receive(preparation: Preparation) -> None:
    global _preparation
    _preparation = preparation


def _work(listing: list[ListedRecord]) -> StorePart:
    return _preparation.part(listing)


def _finish(unfinished: UnfinishedStore, preparation: Preparation) -> Manifest:
    info, counts = preparation.collection.info, unfinished.counts
    left_out = Counter(preparation.collection.left_out) + counts.left_out
    kept = counts.rates_hz.total()
    if not kept:
        unfinished.discard()
        raise StoreError(f"{info.name}: no record can be used ({_reasons(left_out)})")
    listed = kept + left_out.total() - left_out[HELD_BACK]
    rates_hz = list(counts.rates_hz)
    return unfinished.finish(
        design=preparation.design,
        source=StoreSource(
            name=info.name,
            version=info.version,
            licence=info.licence,
            selection=f"folds 1 to 9, {kept} of {listed} records",
            source_rate_hz=int(rates_hz[0]) if len(rates_hz) == 1 else None,
            label_rule=info.label_rule,
            records_absent=left_out[ABSENT],
        ),
        leads=info.leads,
        left_out=left_out,
    )


def _reasons(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in sorted(left_out.items())) or "nothing is listed"
