"""What the names of figures and comparisons mean in words, for every page that shows them."""

from __future__ import annotations

from typing import Final

QUESTIONS: Final = {
    "mi_vs_all": "MI against all others",
    "mi_vs_norm": "MI against normal ECGs",
    "mi_vs_other_abnormal": "MI against other abnormal ECGs",
    "mi_vs_all_age_below_60": "MI against all others, age below 60",
    "mi_vs_all_age_60_to_74": "MI against all others, age 60 to 74",
    "mi_vs_all_age_75_and_over": "MI against all others, age 75 and over",
    "mi_vs_all_fold_9": "MI against all others, fold 9 alone",
    "mi_vs_all_folds_1-3": "MI against all others, folds 1 to 3",
    "mi_vs_all_folds_4-6": "MI against all others, folds 4 to 6",
    "mi_vs_all_folds_7-9": "MI against all others, folds 7 to 9",
    "recent_mi_vs_no_mi": "recent MI against no MI",
    "old_mi_vs_no_mi": "old MI against no MI",
}
_FIGURES: Final = {
    "auroc": "AUROC",
    "auroc_within_groups": "AUROC within the groups, mean",
    "auroc_age_alone": "AUROC of age alone",
    "auroc_difference": "difference of AUROC",
    "auroc_int8_minus_float": "AUROC of int8 minus float",
    "auprc": "area under precision-recall",
    "sensitivity_at_specificity_90": "sensitivity at specificity .90",
    "sensitivity_at_operating_point": "sensitivity at the default threshold",
    "specificity_at_operating_point": "specificity at the default threshold",
    "sensitivity_of_sensitivity_90": "sensitivity at the threshold for sensitivity .90",
    "specificity_of_sensitivity_90": "specificity at the threshold for sensitivity .90",
    "sensitivity_of_specificity_90": "sensitivity at the threshold for specificity .90",
    "specificity_of_specificity_90": "specificity at the threshold for specificity .90",
    "sensitivity_of_balanced": "sensitivity at the balanced threshold",
    "specificity_of_balanced": "specificity at the balanced threshold",
    "brier": "Brier score",
    "expected_calibration_error": "expected calibration error",
}


def figure_name(name: str) -> str:
    """A figure's name in words."""
    return _FIGURES.get(name, name.replace("_", " "))


def question(task: str) -> str:
    """A comparison in words."""
    return QUESTIONS.get(task, task.replace("_", " "))
