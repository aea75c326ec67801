"""SelfMIS in the paper's form and at its scale: teacher, self-cut pairs, alignment; on any number of processes.

After Jin et al., "Self-Alignment Learning to Improve MI Detection from Single-Lead ECG", arXiv 2509.19397
(2025), of which only the abstract could be read: the pair is the multi-lead record and a single lead cut out of
it, the teacher is frozen, the two meet in latent space, and nothing is augmented. What the abstract leaves open
is chosen in `PretrainConfig` and said in docs/pretraining.md. The device's form, on one processor, is `align.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from edge_mi.errors import ConfigError, OutputError
from edge_mi.store import WindowStore

from .distributed import World
from .encoder_origin import Origin
from .fit import seed_torch
from .losses.info_nce import InfoNCELoss
from .losses.pairwise_sigmoid import PairwiseSigmoidLoss
from .net1d_file import load_weights
from .pretrain_aims import remove_aims
from .pretrain_config import PretrainConfig, PretrainPlan
from .pretrain_feed import CutBatch
from .pretrain_file import EncoderReport, given_origin, weights_sha256
from .pretrain_given import check_given, how_aligned
from .pretrain_nets import Encoder, MaskedLeads, SelfAligner, TaughtTeacher, features_of, make_encoder
from .pretrain_run import AIMS_FILE, LossOf, PretrainRun, Rows
from .targets import make_targets
from .task_loss import task_loss

TEACHER_FILE: Final = "teacher.safetensors"
_TEACHER_SEED, _STUDENT_SEED = 500, 600


def pretrain(
    store: WindowStore, config: PretrainConfig, plan: PretrainPlan, world: World
) -> list[EncoderReport]:
    """Train the teacher, unless one is given, and a student for each of `config.leads`; reports in that order.

    The same call goes on from the last snapshot, and takes up whatever was finished. Every process of `world`
    makes it, with a folder that all of them see. Raises ConfigError for settings that do not fit each other, the
    data or what the folder holds.
    """
    run = PretrainRun(store, config, plan, world)
    _check(run)
    notes = check_given(config, plan, run.sees)
    world.check_equal("the data and settings", run.key("run", config=config, precision=plan.precision))
    if world.first:
        for note in notes:
            plan.say(note)
        _make_folder(plan.out)
    world.wait()
    teacher, report = _teacher(run)
    students = [_student(run, lead, teacher, report) for lead in config.leads]
    if world.first:
        remove_aims(plan.out / AIMS_FILE)
    return [report, *students]


def _teacher(run: PretrainRun) -> tuple[Encoder, EncoderReport]:
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


def _supervised(run: PretrainRun, rows: Rows) -> tuple[TaughtTeacher, LossOf]:
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


def _masked_leads(run: PretrainRun, rows: Rows) -> tuple[MaskedLeads, LossOf]:
    """A teacher that learns, without labels, what hidden leads hold."""
    del rows
    module = MaskedLeads(run.config.teacher_net, len(run.leads), run.world).to(run.world.device)
    wrapped = run.world.wrap(module)

    def loss_of(batch: CutBatch) -> Tensor:
        cuts_mv, present = batch.cuts_mv(run.cut_samples)
        loss: Tensor = wrapped(run.input(cuts_mv, present), present, batch.draws)
        return loss

    return module, loss_of


def _student(run: PretrainRun, lead: str, teacher: Encoder, taught_by: EncoderReport) -> EncoderReport:
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
    # what was seen before is part of the report, so weights alone do not make a finished one valid
    key = run.key(
        "student", config=alone, teacher=teacher_sha256, began_from=began_from, precision=plan.precision,
        compiled=plan.compile, origin=origin,
    )  # fmt: skip
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
        file, encoder, net=config.net, leads=(lead,), how=how_aligned(lead, plan.student), teacher=teacher_sha256,
        began_from=began_from, origin=origin, key=key, curve=tuple(curve),
    )  # fmt: skip


def _freeze(encoder: Encoder, world: World) -> None:
    encoder.requires_grad_(False)
    encoder.eval().to(world.device)


def _check(run: PretrainRun) -> None:
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
