"""The part of docs/figures.md on quantisation: activation ranges compared, and training in int8."""

from __future__ import annotations

from typing import Any

from edge_mi.markdown import interval, table

Json = dict[str, Any]
_SHOWN = (
    ("trained int8", "trained float"),
    ("QAT int8", "trained int8"),
    ("QAT int8", "trained further int8"),
)


def quantisation_figures(ranges: Json, qat: Json) -> list[str]:
    """Lines of the section, from the two results."""
    return ["", "## Quantisation", "", *_ranges(ranges), "", *_qat(qat)]


def _ranges(result: Json) -> list[str]:
    rows = []
    for name, found in result["methods"].items():
        worst = max(found["saturated"], key=found["saturated"].__getitem__)
        rows.append(
            [
                name,
                found["described"].partition(";")[0],
                f"{found['frames_sqnr_db']:.1f}",
                f"{found['logits_sqnr_db']:.1f}",
                _share(found["saturated"][worst], worst),
                _figure(found["auroc_int8"]),
                _difference(found["int8_minus_float"]),
            ]
        )
    return [
        f"Ways to choose activation ranges (`edge-mi export --ranges`), on a network trained on {result['trained'].partition(' of')[0]}, {_alignment(result)}. "
        f"Calibrated on {result['calibrated']}; measured on {result['measured']}, n = {result['n']}, {result['n_positive']} with MI. "
        f"AUROC in float: {_figure(result['auroc_float'])}. Saturated: share of values beyond the range in the worst tensor. "
        f"Made by `{result['command']}`.",
        "",
        *table(
            [
                "ranges",
                "what they are",
                "SQNR of frames, dB",
                "SQNR of logits, dB",
                "saturated",
                "AUROC int8",
                "int8 minus float",
            ],
            rows,
        ),
    ]


def _qat(result: Json) -> list[str]:
    """Arms of each network on the two folds, and the paired differences."""
    arms, differences = [], []
    for name, network in result["networks"].items():
        for fold, found in network["folds"].items():
            for arm, figures in found["arms"].items():
                rate = network["learning_rates"].get(arm)
                arms.append(
                    [
                        name,
                        fold,
                        arm,
                        "-" if rate is None else f"{rate:g}",
                        _figure(figures["auroc_float"]),
                        _figure(figures["auroc_int8"]),
                        f"{figures['frames_sqnr_db']:.1f}",
                        f"{figures['logits_sqnr_db']:.1f}",
                    ]
                )
            differences += [
                [name, fold, d["of"], d["minus"], _difference(d)]
                for d in found["differences"]
                if (d["of"], d["minus"]) in _SHOWN
            ]
    counts = ", ".join(
        f"fold {fold}: n = {of['n']}, {of['n_positive']} with MI" for fold, of in result["folds"].items()
    )
    gains = [d for _, fold, d in _replaced(result) if fold == "9" and d["interval"][0] > 0]
    verdict = (
        "On fold 9 no interval of QAT minus what it replaces lies above 0: nothing here gains by it."
        if not gains
        else f"On fold 9 {len(gains)} intervals of QAT minus what it replaces lie above 0."
    )
    return [
        f"Training in int8 (`edge-mi train qat`) beside quantising after training, on a network trained on {result['trained']}, {_alignment(result)}. "
        f"*Trained further* gets the same {result['epochs']} epochs in float and is quantised after them, by percentiles as the "
        f"first; both are means over {len(result['seeds'])} seeds at the learning rate that was best on fold 8 of "
        f"{', '.join(f'{rate:g}' for rate in result['learning_rates'])}; fold 9 decided nothing. *Channels unequal* is the "
        f"same function in float with one channel in {result['unequal_channels']['every']} of each layer so many times as large; "
        f"{result['unequal_channels']['factors'][-1]} was added, for what it did on fold 8, when {result['unequal_channels']['factors'][0]} had been measured. "
        f"{counts}. Intervals: 95 %, bootstrap over patients, networks fixed. Made by `{result['command']}`.",
        "",
        *table(
            [
                "network",
                "fold",
                "training",
                "learning rate",
                "AUROC float",
                "AUROC int8",
                "SQNR of frames, dB",
                "SQNR of logits, dB",
            ],
            arms,
        ),
        "",
        *table(["network", "fold", "AUROC of", "minus that of", "difference"], differences),
        "",
        "All pairs are in benchmarks/results/qat.json.",
        "",
        verdict,
    ]


def _replaced(result: Json) -> list[tuple[str, str, Json]]:
    """(network, fold, difference) of QAT and the int8 networks that it would take the place of."""
    return [
        (name, fold, d)
        for name, network in result["networks"].items()
        for fold, found in network["folds"].items()
        for d in found["differences"]
        if d["of"] == "QAT int8" and d["minus"] in ("trained int8", "trained further int8")
    ]


def _alignment(result: Json) -> str:
    """How the network was trained; results from before it was written down are without alignment."""
    return str(result.get("alignment", "without alignment"))


def _figure(found: Json) -> str:
    return f"{found['value']:.3f} ({interval(found['interval'])})"


def _difference(found: Json) -> str:
    return f"{found['value']:+.4f} ({interval(found['interval'], signed=True)})"


def _share(share: float, tensor: str) -> str:
    return f"{share:.3%} ({tensor})" if share else "none"
