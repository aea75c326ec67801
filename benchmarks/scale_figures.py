"""How the workshop grows with its data, in docs/figures.md: the pass to a store, and training."""

from __future__ import annotations

from typing import Any

from edge_mi.markdown import table

Json = dict[str, Any]


def scale_figures(growth: Json, training: Json) -> list[str]:
    """The section, from results/store_growth.json and results/training_speed.json."""
    return ["", "## Scale of the workshop", "", *_growth(growth), "", *_training(training)]


def _growth(document: Json) -> list[str]:
    slope, expected, opened = document["growth"], document["extrapolated"], document["open"]
    return [
        f"**From records to a store** (`edge-mi data build`): {document['records']}, {document['jobs']} processes. Made by "
        f"`{document['command']}` on {_machine(document['machine'])}.", "",
        *table(
            ["records", "processor, s", "records a second of one core", "peak memory of the parent, MB", "of a worker, MB"],
            [
                [
                    f"{row['records']:,}", f"{row['cpu_s']:.1f}", f"{row['records_per_core_s']:.0f}",
                    f"{row['peak_rss_mb']['parent']:.0f}", f"{row['peak_rss_mb']['worker']:.0f}",
                ]
                for row in document["builds"]
            ],
        ),
        "",
        f"A record more costs {slope['cpu_ms_per_record']:.1f} ms of one core, and {slope['cpu_ms_per_record_parent']:.2f} ms of that "
        f"in the one process that writes. Carried on to {expected['records']:,} records, which were not tried: "
        f"{expected['core_h']:.1f} hours of one core, {expected['signals_gb']:.0f} GB of signals, {expected['parent_rss_mb']} MB in "
        f"the process that writes, whose memory grows by {slope['parent_rss_kb_per_record']:.2f} kB a record (its labels). A "
        f"store of {opened['rows']:,} records opens in {opened['open_s']:.1f} s with {opened['memory_mb']:.0f} MB more memory.",
    ]  # fmt: skip


def _training(document: Json) -> list[str]:
    return [
        f"**Training** (`edge-mi train pretrain`), windows of {document['window_s']:.0f} s, {document['n']} steps of each network, "
        f"{document['threads']} thread, {document['readers']} that loads; whole runs, of which the first steps are left out. Before "
        f"them the teacher ({document['teacher']['net']}, twelve leads) embeds every record once: "
        f"{document['teacher']['records_per_s']:.0f} records a second. The store fits the page cache, so that this says nothing about "
        f"a disk. Made by `{document['command']}` on "
        f"{_machine(document['machine'])}; loading alone gives {document['loading_alone_windows_per_s']:,.0f} windows a second.", "",
        *table(
            ["network", "batch", "windows a second", "share of the time lost to loading"],
            [
                [name, str(row["batch"]), f"{row['windows_per_s']:.0f}", f"{row['waiting_share']:.2%}"]
                for name, row in document["nets"].items()
            ],
        ),
    ]  # fmt: skip


def _machine(machine: Json) -> str:
    return f"{machine['processor']}, {machine['cores']} cores, load {machine['load_1min']:.0f} at the time"
