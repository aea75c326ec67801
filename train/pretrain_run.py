"""What every stage of pre-training needs: the records, the settings, and the way to train a module on them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_mi import strict
from edge_mi.errors import ConfigError
from edge_mi.netspec import SIZES
from edge_mi.progress import Progress
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from .config import FitConfig
from .distributed import World
from .encoder_origin import Origin, origin_of
from .fit import Runtime, fit, total_steps
from .pretrain_aims import BLOCK, teacher_aims
from .pretrain_config import PretrainConfig, PretrainPlan
from .pretrain_feed import Aims, CutBatch, CutFeed
from .pretrain_file import (
    REPORT_SCHEMA,
    SCHEMA,
    EncoderInfo,
    EncoderReport,
    Input,
    finished_report,
    save_encoder,
    weights_sha256,
)
from .pretrain_nets import Encoder, SignalInput, features_of
from .provenance import commit, versions

AIMS_FILE: Final = "aims.f32"
LossOf: TypeAlias = Callable[[CutBatch], Tensor]
Rows: TypeAlias = NDArray[np.int64]

_PIPELINE: Final = 3  # raise it when a change of the code changes results


class PretrainRun:
    """One call of `pretrain` on one process."""

    def __init__(self, store: WindowStore, config: PretrainConfig, plan: PretrainPlan, world: World) -> None:
        self.store, self.config, self.plan, self.world = store, config, plan, world
        self.rows = np.arange(len(store)) if config.folds is None else store.rows_of(config.folds)
        names = {name.lower() for name in store.manifest.leads}
        # by name and in one order, whatever the order of the source
        self.leads = tuple(lead for lead in TWELVE_LEADS if lead.lower() in names)
        self.rate_hz = store.manifest.rate_hz
        self.cut_samples = round(config.cut_s * self.rate_hz)
        shortest = SIZES[config.net].receptive_field if config.net in SIZES else 1
        if self.cut_samples < shortest:
            raise ConfigError(
                f"a cut of {config.cut_s:g} s has {self.cut_samples} samples, {config.net} sees {shortest} at a time"
            )
        self.input = SignalInput(config.input, self.rate_hz).to(world.device)
        self._aims: Aims | None = None

    @property
    def sees(self) -> Input:
        """What enters the teacher."""
        return Input(
            leads=self.leads,
            form=self.config.input,
            rate_hz=self.rate_hz,
            filter_sha256=self.store.manifest.filter_sha256,
        )

    def key(self, stage: str, **decides: Any) -> str:
        """Hash of the stage and of what decides its weights; data and versions always do."""
        digest = hashlib.sha256(f"{_PIPELINE} {stage} {self.store.digest}\0".encode())
        digest.update(self.rows.tobytes())
        for name, value in sorted({**decides, "versions": versions()}.items()):
            digest.update(f"{name} {strict.dumps(value)}\0".encode())
        return digest.hexdigest()

    def fit(
        self,
        file: Path,
        key: str,
        module: nn.Module,
        loss_of: LossOf,
        config: FitConfig,
        rows: Rows,
        seed: int,
        **read: Any,
    ) -> list[float]:
        """Train `module`, with snapshots beside `file`; `read` goes to the feed."""
        with self._feed(file.stem, total_steps(len(rows), config), seed=seed, **read) as feed:
            runtime = replace(self._runtime, keep_every=self.plan.keep_every, key=key)
            return fit(
                module,
                rows,
                loss_of,
                config,
                seed=seed,
                snapshot=file.with_suffix(".snapshot"),
                feed=feed,
                clip_norm=self.config.clip_norm,
                runtime=runtime,
            )

    def finished(self, file: Path, key: str) -> EncoderReport | None:
        """The report of what was trained before, or None; a snapshot that a kill left behind is given up."""
        report = finished_report(file, key)
        if report is not None and self.world.first:
            file.with_suffix(".snapshot").unlink(missing_ok=True)
        return report

    def aims(self, teacher: Encoder, sha256: str) -> Aims:
        """What the teacher says of every record, computed before the first student and shared by all."""
        if self._aims is None:
            plan, features = self.plan, features_of(teacher)
            key = self.key(
                "aims",
                teacher=sha256,
                input=self.config.input,
                precision=plan.precision,
                compiled=plan.compile,
            )
            forward = torch.compile(teacher.embed) if plan.compile else teacher.embed

            def embed(batch: CutBatch) -> Tensor:
                with self._runtime.autocast():
                    result: Tensor = forward(self.input(*batch.signals_mv()))
                return result

            blocks = -(-len(self.rows) // BLOCK // self.world.size)
            with self._feed("aims", blocks) as feed:
                self._aims = teacher_aims(
                    plan.out / AIMS_FILE, key, self.rows, features, feed, embed, self.world
                )
        return self._aims

    @property
    def _runtime(self) -> Runtime:
        return Runtime(world=self.world, precision=self.plan.precision)

    @contextmanager
    def _feed(self, stage: str, steps: int, *, seed: int = 0, **read: Any) -> Iterator[CutFeed]:
        """A feed with a bar on the first process: of all leads, unless `read` says otherwise."""
        with Progress(steps, stage, None if self.world.first else io.StringIO()) as bar:

            def advance() -> None:
                bar.advance()
                self.plan.on_batch(stage, feed.waited_s)

            feed = CutFeed(
                self.store,
                cut_samples=self.cut_samples,
                seed=seed,
                device=self.world.device,
                readers=self.plan.readers,
                advance=advance,
                **{"leads": self.leads, **read},
            )
            yield feed

    def finish(self, file: Path, encoder: Encoder, **more: Any) -> EncoderReport:
        """Keep what was trained; only then is its snapshot given up."""
        report = self.report(encoder, **more)
        if self.world.first:
            report = save_encoder(file, encoder, report)
            file.with_suffix(".snapshot").unlink(missing_ok=True)
        self.world.wait()
        return report

    def report(
        self,
        encoder: Encoder,
        *,
        net: str,
        leads: tuple[str, ...],
        began_from: str | None,
        origin: Origin,
        learned: bool = True,
        **more: Any,
    ) -> EncoderReport:
        """The report of an encoder, without the hash of its file; `learned`: on these data, beside its `origin`."""
        own = origin_of(self.store, self.rows) if learned else Origin()
        return EncoderReport(
            schema=REPORT_SCHEMA,
            encoder=EncoderInfo(
                schema=SCHEMA,
                net=net,
                leads=leads,
                rate_hz=self.rate_hz,
                input=self.config.input,
                filter_sha256=self.store.manifest.filter_sha256,
            ),
            sha256="",
            weights_sha256=weights_sha256(encoder),
            parameters=sum(p.numel() for p in encoder.parameters()),
            parameters_in_use=sum(p.numel() for p in encoder.parameters() if p.requires_grad),
            began_from=began_from,
            config=strict.encode(self.config),
            data=own.seen[0].data if learned else None,
            folds=own.seen[0].folds if learned else (),
            store=self.store.digest,
            origin=own.and_then(origin),
            command=self.plan.command,
            commit=commit(),
            versions=versions(),
            processes=self.world.size,
            device=torch.device(self.world.device).type,
            precision=self.plan.precision,
            compiled=self.plan.compile,
            **more,
        )
