"""What alignment is worth on these data, said in one sentence, from the cross-validation."""

from __future__ import annotations

from typing import Any, Final

from edge_mi.figure_names import question
from edge_mi.markdown import interval

from .rival_figures import find_figure

Json = dict[str, Any]

_SUBJECT: Final = "lead_i minus lead_i_from_scratch"


def alignment_said(cv: Json) -> str:
    """Whether the aligned network beats the same from scratch, with the difference and its interval."""
    found = find_figure(cv, _SUBJECT, "auroc_difference", "mi_vs_all")
    if found is None:
        return "The network is not aligned: it learns from scratch."
    hard = find_figure(cv, _SUBJECT, "auroc_difference", "mi_vs_other_abnormal")
    low, high = found["interval"]
    verdict = (
        "Alignment helps" if low > 0 else "Alignment hurts" if high < 0 else "Alignment is not shown to help"
    )
    second = (
        "" if hard is None
        else f"; {question(hard['task'])} {hard['value']:+.4f} ({interval(hard['interval'], signed=True)})"
    )  # fmt: skip
    return (
        f"{verdict} on these data: aligned minus the same network from scratch, AUROC of {question(found['task'])} "
        f"{found['value']:+.4f} ({interval(found['interval'], signed=True)}){second}; {len(found['each'])} networks each, in pairs, "
        f"n = {found['n']}, networks fixed."
    )
