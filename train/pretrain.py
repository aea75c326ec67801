"""SelfMIS in the paper's form and at its scale: teacher, self-cut pairs, alignment; on any number of processes.

After Jin et al., "Self-Alignment Learning to Improve MI Detection from Single-Lead ECG", arXiv 2509.19397
(2025), of which only the abstract could be read: the pair is the multi-lead record and a single lead cut out of
it, the teacher is frozen, the two meet in latent space, and nothing is augmented. What the abstract leaves open
is chosen in `PretrainConfig` and said in docs/pretraining.md. The device's form, on one processor, is `align.py`.
"""

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
from edge_mi.errors import ConfigError, OutputError
from edge_mi.netspec import SIZES
from edge_mi.progress import Progress
from edge_mi.records.leads import TWELVE_LEADS
from edge_mi.store import WindowStore

from .config import FitConfig
from .distributed import World
from .encoder_origin import Origin, origin_of
from .fit import Runtime, fit, seed_torch, total_steps
from .losses.info_nce import InfoNCELoss
from .losses.pairwise_sigmoid import PairwiseSigmoidLoss
from .net1d_file import load_weights
from .pretrain_aims import BLOCK, remove_aims, teacher_aims
from .pretrain_config import PretrainConfig, PretrainPlan
from .pretrain_feed import Aims, CutBatch, CutFeed
from .pretrain_file import (
    REPORT_SCHEMA,
    SCHEMA,
    EncoderInfo,
    EncoderReport,
    finished_report,
    given_origin,
    save_encoder,
    weights_sha256,
)
from .pretrain_nets import (
    Encoder,
    MaskedLeads,
    SelfAligner,
    SignalInput,
    TaughtTeacher,
    features_of,
    make_encoder,
)
from .provenance import commit, versions
from .targets import make_targets
from .task_loss import task_loss

TEACHER_FILE: Final = "teacher.safetensors"
AIMS_FILE: Final = "aims.f32"
LossOf: TypeAlias = Callable[[CutBatch], Tensor]
Rows: TypeAlias = NDArray[np.int64]

_PIPELINE: Final = 2  # raise it when a change of the code changes results
_TEACHER_SEED, _STUDENT_SEED = 500, 600


def pretrain(
    store: WindowStore, config: PretrainConfig, plan: PretrainPlan, world: World
) -> list[EncoderReport]:
    """Train the teacher, unless one is given, and a student for each of `config.leads`; reports in that order.

    The same call goes on from the last snapshot, and takes up whatever was finished. Every process of `world`
    makes it, with a folder that all of them see. Raises ConfigError for settings that do not fit each other, the
    data or what the folder holds.
    """
    run = _Run(store, config, plan, world)
    _check(run)
    world.check_equal("the data and settings", run.key("run", config=config, precision=plan.precision))
    if world.first:
        _make_folder(plan.out)
    world.wait()
    teacher, report = _teacher(run)
    students = [_student(run, lead, teacher, report) for lead in config.leads]
    if world.first:
        remove_aims(plan.out / AIMS_FILE)
    return [report, *students]


class _Run:
    """What every stage needs: the records, the settings, and the way to train a module on them."""

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


def _teacher(run: _Run) -> tuple[Encoder, EncoderReport]:
    """The frozen multi-lead encoder: the one that is given, or one that is trained on the records themselves."""
    config, plan = run.config, run.plan
    net, leads = config.teacher_net, run.leads
    if plan.teacher is not None:
        encoder = make_encoder(net, leads=len(leads))
        load_weights(encoder, plan.teacher)
        _freeze(encoder, run.world)
        given = run.report(
            encoder,
            net=net,
            leads=leads,
            how="given",
            teacher=None,
            began_from=weights_sha256(encoder),
            origin=given_origin(plan.teacher),
            learned=False,
            key="",
            curve=(),
        )
        return encoder, given
    labelled = run.rows[run.store.records.mi[run.rows] >= 0]
    supervised = len(labelled) >= config.teacher_fit.batch
    rows, how = (labelled, "supervised") if supervised else (run.rows, "masked_leads")
    file = plan.out / TEACHER_FILE
    decides = {
        "net": net, "fit": config.teacher_fit, "task": config.task, "input": config.input, "cut": config.cut_s,
        "clip": config.clip_norm, "seed": config.seed, "precision": plan.precision, "how": how,
    }  # fmt: skip
    key = run.key("teacher", **decides)
    report = run.finished(file, key)
    if report is not None:
        encoder = make_encoder(net, leads=len(leads))
        load_weights(encoder, file)
        _freeze(encoder, run.world)
        return encoder, report
    seed = config.seed + _TEACHER_SEED
    seed_torch(seed)
    module, loss_of = (_supervised if supervised else _masked_leads)(run, rows)
    curve = run.fit(file, key, module, loss_of, config.teacher_fit, rows, seed)
    encoder = module.encoder
    report = run.finish(
        file, encoder, net=net, leads=leads, how=how, teacher=None, began_from=None,
        origin=Origin(), key=key, curve=tuple(curve),
    )  # fmt: skip
    _freeze(encoder, run.world)
    return encoder, report


def _supervised(run: _Run, rows: Rows) -> tuple[TaughtTeacher, LossOf]:
    """A teacher that learns the labels, on random cuts of all leads."""
    targets = make_targets(run.store, rows, run.config.task.code_min_records)
    weight, device = targets.positive_weight(rows), run.world.device
    moved = targets.to(device)
    module = TaughtTeacher(run.config.teacher_net, len(run.leads), len(targets.code_names)).to(device)
    wrapped = run.world.wrap(module)

    def loss_of(batch: CutBatch) -> Tensor:
        outputs = wrapped(run.input(*batch.cuts_mv(run.cut_samples)))
        return task_loss(outputs, moved, batch.rows, run.config.task, positive_weight=weight)

    return module, loss_of


def _masked_leads(run: _Run, rows: Rows) -> tuple[MaskedLeads, LossOf]:
    """A teacher that learns, without labels, what hidden leads hold."""
    del rows
    module = MaskedLeads(run.config.teacher_net, len(run.leads)).to(run.world.device)
    wrapped = run.world.wrap(module)

    def loss_of(batch: CutBatch) -> Tensor:
        cuts_mv, present = batch.cuts_mv(run.cut_samples)
        loss: Tensor = wrapped(run.input(cuts_mv, present), present, batch.draws)
        return loss

    return module, loss_of


def _student(run: _Run, lead: str, teacher: Encoder, taught_by: EncoderReport) -> EncoderReport:
    """Align the encoder of one lead with the teacher."""
    config, plan, world = run.config, run.plan, run.world
    seed = config.seed + _STUDENT_SEED
    seed_torch(seed)
    encoder = make_encoder(config.net)
    began_from, origin, teacher_sha256 = None, taught_by.origin, taught_by.weights_sha256
    if plan.student is not None:
        load_weights(encoder, plan.student)
        began_from, origin = weights_sha256(encoder), origin.and_then(given_origin(plan.student))
    file = plan.out / f"student-{lead}.safetensors"
    # the teacher's settings are in its hash
    alone = replace(config, leads=(lead,), teacher_net="", teacher_fit=config.fit)
    key = run.key(
        "student", config=alone, teacher=teacher_sha256, began_from=began_from, precision=plan.precision
    )
    finished = run.finished(file, key)
    if finished is not None:
        return finished
    loss = (
        InfoNCELoss(config.scale)
        if config.loss == "infonce"
        else PairwiseSigmoidLoss(config.scale, config.bias)
    )
    aligner = SelfAligner(encoder, features_of(teacher), loss, world, compiled=plan.compile).to(world.device)
    wrapped = world.wrap(aligner)

    def loss_of(batch: CutBatch) -> Tensor:
        result: Tensor = wrapped(run.input(*batch.cuts_mv(run.cut_samples)), batch.aims)
        return result

    aims = run.aims(teacher, teacher_sha256)
    curve = run.fit(file, key, aligner, loss_of, config.fit, run.rows, seed, leads=(lead,), aims=aims)
    return run.finish(
        file, encoder, net=config.net, leads=(lead,), how="aligned", teacher=teacher_sha256, began_from=began_from,
        origin=origin, key=key, curve=tuple(curve),
    )  # fmt: skip


def _freeze(encoder: Encoder, world: World) -> None:
    encoder.requires_grad_(False)
    encoder.eval().to(world.device)


def _check(run: _Run) -> None:
    config, samples = run.config, run.store.codes.shape[2]
    if config.folds is None and (run.store.records.mi >= 0).any():
        raise ConfigError(
            "this store has labels: say which folds to learn from (--folds 1-8), so that those that are judged on are "
            "not among them; --folds 1-9 for all"
        )
    if not len(run.rows):
        raise ConfigError("no records in the folds that were asked for")
    if len(run.leads) < 2:
        raise ConfigError(
            f"a store of {', '.join(run.store.manifest.leads)}; a teacher needs at least two leads"
        )
    for lead in config.leads:
        if lead not in run.leads:
            raise ConfigError(f"no lead {lead} to learn from; this store has {', '.join(run.leads)}")
    if not 0 < run.cut_samples <= samples:
        raise ConfigError(f"a cut of {config.cut_s:g} s, records have {samples / run.rate_hz:g} s")
    if run.plan.precision == "16" and torch.device(run.world.device).type == "cpu":
        raise ConfigError("--precision 16 is for GPUs; a processor computes in 32 or bf16")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc.strerror or exc}") from exc
