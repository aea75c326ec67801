"""What was to be reached, set before anything was trained, and what of it was missed: said wherever the figures are."""

from __future__ import annotations

from typing import Any, Final

from edge_mi.figure_names import question
from edge_mi.markdown import interval

from .rival_figures import find_figure

Json = dict[str, Any]

AIMS: Final = {"mi_vs_all": (0.79, 0.82), "mi_vs_other_abnormal": (0.64, 0.70)}  # at least, and hoped for
INT8_LOSS: Final = 0.005  # of AUROC, at most


def aims_said(cv: Json, int8: Json) -> str:
    """The aims for the cross-validated AUROC, and which are missed."""
    asked: list[str] = []
    reached: list[str] = []
    missed: list[str] = []
    for task, (least, hoped) in AIMS.items():
        figure = find_figure(cv, "lead_i", "auroc", task)
        assert figure is not None, f"no AUROC of {task} in the cross-validation"
        asked.append(f"{question(task)} at least {least:.2f}, better {hoped:.2f}")
        for aim in (least, hoped):
            (reached if figure["value"] >= aim else missed).append(
                f"{aim:.2f} in {question(task)} ({figure['value']:.3f})"
            )
    lost = find_figure(int8, "lead_i_int8 minus lead_i", "auroc_difference", "mi_vs_all")
    assert lost is not None, "no difference of int8 and float"
    (reached if lost["value"] >= -INT8_LOSS else missed).append(f"that of int8 ({lost['value']:+.4f})")
    return (
        f"Aims, cross-validated: AUROC of {'; of '.join(asked)}; int8 through the stream at most {INT8_LOSS:g} less. "
        f"Reached: {'; '.join(reached) or 'none'}. **Missed: {'; '.join(missed) or 'none'}.**"
    )


def int8_said(int8: Json, *, in_full: bool = False) -> str:
    """What the arithmetic of the device costs on folds 1 to 9; in_full: as a paragraph of its own."""
    lost = find_figure(int8, "lead_i_int8 minus lead_i", "auroc_difference", "mi_vs_all")
    assert lost is not None, "no difference of int8 and float"
    value = (
        f"{lost['value']:+.4f} ({interval(lost['interval'], signed=True)}; seeds too: "
        f"{interval(lost['interval_with_seeds'], signed=True)}), {len(lost['each'])} networks each, n = {lost['n']}"
    )
    if not in_full:
        return f"over folds 1 to 9 {value}"
    return (
        "The same networks in int8, each quantised with ranges of its own training folds and fed lead I of the files it "
        "did not see through the signal chain, every window judged, minus float on the stored records, "
        f"{question('mi_vs_all')}, in pairs: {value}. Made by `{int8['command']}`."
    )
