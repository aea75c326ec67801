"""What alignment is worth on these data, said in one sentence, from the cross-validation."""

from __future__ import annotations

from typing import Any, Final

from edge_mi.figure_names import question
from edge_mi.markdown import interval

from .rival_figures import find_figure

Json = dict[str, Any]

TASKS: Final = ("mi_vs_all", "mi_vs_other_abnormal")
_SUBJECT: Final = "lead_i minus lead_i_from_scratch"


def alignment_said(cv: Json) -> str:
    """Whether the aligned network beats the same from scratch, with the differences and their intervals."""
    found = [find_figure(cv, _SUBJECT, "auroc_difference", task) for task in TASKS]
    if found[0] is None:
        return "What alignment gives was not measured (`edge-mi train cv --scratch` does)."
    (low, high), (low_seeds, high_seeds) = found[0]["interval"], found[0]["interval_with_seeds"]
    verdict = (
        "Alignment helps on these data" if low_seeds > 0
        else "Alignment hurts on these data" if high_seeds < 0
        else "Alignment helps these networks, but another seed may not gain" if low > 0
        else "Alignment hurts these networks, but another seed may not lose" if high < 0
        else "Alignment is not shown to help on these data"
    )  # fmt: skip
    said = [
        f"{question(each['task'])} {each['value']:+.4f} (patients drawn: {interval(each['interval'], signed=True)}; seeds too: "
        f"{interval(each['interval_with_seeds'], signed=True)})"
        for each in found
        if each is not None
    ]
    return (
        f"{verdict}. AUROC of the aligned network minus that of the same network with the same fine-tuning from scratch, {len(found[0]['each'])} networks "
        f"each, in pairs, n = {found[0]['n']}: {'; '.join(said)}. How much of this is left with a longer fine-tuning is in docs/figures.md, What else was tried; what three networks of another budget show, there too, SelfMIS and its rivals."
    )
