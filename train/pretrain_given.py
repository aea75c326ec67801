"""Encoders that a pre-training is given: what entered them is what enters here, as far as their reports say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .pretrain_config import PretrainConfig, PretrainPlan
from .pretrain_file import Input, check_input, given_report


def check_given(config: PretrainConfig, plan: PretrainPlan, sees: Input) -> tuple[str, ...]:
    """Raises ConfigError where a given encoder has a report and learned from another input than this run's.

    sees: what enters the teacher. Leads of the student may differ, as its weights are a beginning only. Returns what a
    user should know, a sentence each.
    """
    if plan.teacher is not None and (report := given_report(plan.teacher)) is not None:
        check_input(plan.teacher, report.encoder, sees, f"the teacher {config.teacher_net}")
    if plan.student is None or (report := given_report(plan.student)) is None:
        return ()
    leads = report.encoder.leads
    check_input(plan.student, report.encoder, replace(sees, leads=leads), f"the student {config.net}")
    others = [lead for lead in config.leads if (lead,) != leads]
    if not others:
        return ()
    return (
        f"{plan.student.name} is an encoder of {', '.join(leads)}; what is trained for {', '.join(others)} begins with "
        "it all the same",
    )


def how_aligned(lead: str, begin: Path | None) -> str:
    """How a report says that the student of `lead` was trained; `begin`: what it was given to begin with."""
    report = None if begin is None else given_report(begin)
    if report is None or report.encoder.leads == (lead,):
        return "aligned"
    return f"aligned from {', '.join(report.encoder.leads)}"
