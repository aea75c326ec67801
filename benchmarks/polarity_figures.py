"""The part of docs/figures.md on the polarity check."""

from __future__ import annotations

from typing import Any

from edge_mi.markdown import interval, table

from .measured_on import labels_of

Json = dict[str, Any]


def polarity_figures(result: Json) -> list[str]:
    """Lines of the section, from results/polarity.json."""
    limits, everyone = result["shipped"], result["out_of_fold"][0]
    return [
        "", "## Polarity", "",
        "Swapped arm electrodes turn lead I over, and the network then answers the opposite as if nothing were wrong. The mean beat "
        "of a window is correlated with a learned table, in integers; a stream whose mean correlation over "
        f"{limits['memory_s']:g} s lies at or below {limits['inverted_permille'] / 1000:g} is withheld as `inverted` until it is "
        f"{limits['upright_permille'] / 1000:g} or above again. Out of fold (table and limit of each fold from the other eight), "
        f"{result['records']}: {everyone['caught']['value']:.1%} of the records are caught when turned over, and "
        f"{everyone['refused']['value']:.2%} are refused as they are (n = {everyone['n']}; {result['without_beats']} more have too "
        "few beats to be judged at all). Intervals: 95 %, Wilson, counted in patients. Whether a record of the source was taken with swapped "
        f"electrodes itself is not known. Made by `{result['command']}`.{labels_of(result)}",
        "",
        *table(
            ["records", "n", "refused as they are", "share", "95 %", "caught turned over", "share", "95 %"],
            [
                [row["group"], str(row["n"]), *_rate(row["refused"], 2), *_rate(row["caught"], 1)]
                for row in result["out_of_fold"]
            ],
        ),
        "", *_infarction(result), "", *_others(result["other_records"]), "", *_limits(result["limits"]),
    ]  # fmt: skip


def _infarction(result: Json) -> list[str]:
    rows = [
        [
            row["records"], "not checked" if row["polarity"] == "trust" else "checked", str(row["n"]), str(row["inverted"]),
            f"{row['answered']} ({row['answered_mi']})", f"{row['positive']} ({row['positive_mi']})",
            "-" if row["auroc"] is None else f"{row['auroc']['value']:.3f}",
            "-" if row["auroc"] is None else interval(row["auroc"]["interval"]),
        ]
        for row in result["infarction"]
    ]  # fmt: skip
    return [
        f"What the check does to MI against all others: PTB-XL fold 9, int8, streamed from the files, `{result['model']}`. Weights, "
        "table and limit saw nothing of that fold; ridge and aim were chosen over folds 1 to 9, as below. AUROC is of the records that got an answer; of those turned over that slip through the check there are few, "
        "so its interval is wide.",
        "",
        *table(
            ["records", "polarity", "n", "withheld as upside down", "answered (MI)", "positive (MI)", "AUROC", "95 %"],
            rows,
        ),
    ]  # fmt: skip


def _others(rows: list[Json]) -> list[str]:
    return [
        "Lead I of other sources, with the check that ships, whole records streamed; a window counts where it could be judged:",
        "",
        *table(
            ["source", "records", "refused as they are", "caught turned over", "windows", "refused as they are", "windows turned over", "caught"],
            [
                [
                    f"{row['source']} ({row['what']})", str(row["records"]), str(row["records_refused"]), str(row["records_caught"]),
                    str(row["windows"]), str(row["windows_refused"]), str(row["windows_over"]), str(row["windows_caught"]),
                ]
                for row in rows
            ],
        ),
    ]  # fmt: skip


def _limits(rows: list[Json]) -> list[str]:
    return [
        "How ridge and limit were chosen. The limits here are quantiles of the very scores that they are counted on, and so only compare; the rates "
        "above are not:",
        "",
        *table(
            ["ridge", "aim", "limit", "caught", "refused", "refused, MI", "refused, QRS points down"],
            [
                [
                    f"{row['ridge']:g}", f"{row['aim']:.1%}", f"{row['limit_permille'] / 1000:.3f}", f"{row['caught']:.1%}",
                    f"{row['refused']} of {row['n']}", f"{row['refused_mi']} of {row['n_mi']}",
                    f"{row['refused_negative_qrs']} of {row['n_negative_qrs']}",
                ]
                for row in rows
            ],
        ),
    ]  # fmt: skip


def _rate(share: Json, digits: int) -> list[str]:
    if share["value"] is None:
        return ["0", "-", "-"]
    low, high = share["interval"]
    return [str(share["count"]), f"{share['value']:.{digits}%}", f"{low:.{digits}%} to {high:.{digits}%}"]
