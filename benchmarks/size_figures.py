"""The sizes of the network in docs/figures.md."""

from __future__ import annotations

from typing import Any

from edge_mi.markdown import interval, table
from edge_mi.netspec import SHIPPED_SIZE

Json = dict[str, Any]


def size_figures(document: Json) -> list[str]:
    """The section, from results/sizes.json."""
    rows = document["sizes"]
    auroc, lost = rows[0]["auroc"], rows[0]["int8_minus_float"]
    intervals = [row["minus_shipped"]["interval"] for row in rows if row["minus_shipped"]]
    apart = sum(low > 0 or high < 0 for low, high in intervals)
    return [
        "", "## Sizes of the network", "",
        "The same kernels, strides, window and hop, with other widths, trained without alignment. AUROC of MI against all others, float, cross-validated as above with "
        f"{auroc['networks']} networks (n = {auroc['n']}, {auroc['n_positive']} with MI), and its difference to the size that ships, in pairs; int8 minus float on {lost['source']} "
        f"(n = {lost['n']}, {lost['n_positive']} with MI). Arenas: {document['arena_source']}. Made by `{document['command']}`.", "",
        *table(
            ["size", "parameters", "AUROC", "95 %", f"minus {SHIPPED_SIZE}", "95 %", "int8 minus float", "95 %", "model.int8.tflite, bytes", "arena, whole window", "arena, front", "arena, head", "MACs a window", "MACs a hop of 1 s"],
            [
                [
                    f"{row['size']} (ships)" if row["size"] == SHIPPED_SIZE else row["size"], f"{row['parameters']:,}",
                    f"{row['auroc']['value']:.3f}", interval(row["auroc"]["interval"]),
                    *_difference(row["minus_shipped"]),
                    f"{row['int8_minus_float']['value']:+.4f}", interval(row["int8_minus_float"]["interval"], signed=True),
                    f"{row['tflite_bytes']:,}", *(f"{row['arena_bytes'][graph]:,}" for graph in ("whole", "front", "head")),
                    f"{row['macs_window']:,}", f"{row['macs_hop']:,}",
                ]
                for row in rows
            ],
        ),
        "", "![AUROC of each size against bytes, arena and MACs](sizes.svg)", "",
        "Every difference to the size that ships has zero in its interval: these records do not tell the sizes apart."
        if apart == 0 else f"{apart} of the sizes differ from the one that ships by more than chance explains (95 %).",
    ]  # fmt: skip


def _difference(found: Json | None) -> list[str]:
    return (
        ["-", "-"] if found is None else [f"{found['value']:+.4f}", interval(found["interval"], signed=True)]
    )
