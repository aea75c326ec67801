"""What emulated devices gave, in docs/figures.md."""

from __future__ import annotations

from typing import Any

from edge_mi.markdown import table

Json = dict[str, Any]


def arm_figures(arm: Json) -> list[str]:
    """The wheel on emulated ARM processors, from results/arm.json."""
    boards = " and ".join(
        f"{cpu['board']} ({name}, Python {cpu['python']})" for name, cpu in arm["cpus"].items()
    )
    records = arm["records"]
    return [
        "",
        "## On ARM",
        "",
        f"The wheel on the processor of a {boards}, emulated by {arm['emulator'].partition(' (')[0]}, against {arm['host']['architecture']} "
        f"(Python {arm['host']['python']}); "
        + ", ".join(f"{name} {number}" for name, number in arm["versions"].items())
        + f". {records['synthetic']} synthetic and {records['real']} real records. Every byte of the results is compared; "
        f"nothing is said of speed. The files of the bundle are written without the comparisons, and on one processor also by the whole of "
        f"export, which prints more. Made by `{arm['command']}`.",
        "",
        *table(
            ["processor", "edge-mi", "compared", "bytes", "identical"],
            [
                [
                    row["cpu"],
                    row["what"],
                    f"{row['n']} {row['counts']}",
                    f"{row['bytes']:,}",
                    "yes" if row["identical"] else "NO",
                ]
                for row in arm["compared"]
            ],
        ),
    ]


def mcu_figures(mcu: Json) -> list[str]:
    """The C code on emulated microcontrollers, from results/mcu.json."""
    rows, decisions = mcu["rows"], sum(row["decisions"] for row in mcu["rows"])
    one = [row for row in rows if (row["core"], row["family"]) == (rows[0]["core"], rows[0]["family"])]
    synthetic, real = (sum(row["records"][kind] for row in one) for kind in ("synthetic", "real"))
    return [
        "",
        "## C code on microcontrollers",
        "",
        f"`edge-mi export --to c` of {mcu['model']}, compiled with -O2 by arm-none-eabi-gcc {mcu['compiler'].split(') ')[-1].partition(' ')[0]} and run by "
        f"{mcu['emulator'].partition(' (')[0]}. {decisions:,} decisions on {real} real and {synthetic} synthetic records of each core and family, with a gap in the long ones, "
        f"are those of the Python detector. Instructions for one decision, a second of stream: filters, network, quality and alarm; "
        f"of the network {mcu['macs_decision']:,} MACs, {mcu['macs_decision'] / mcu['macs_window']:.1%} of a window. RAM is the state, without the "
        f"samples' buffer and the stack. Longest: instructions of one call of `edge_mi_push` with 13 samples, and of `edge_mi_next` after a gap or at the end. QEMU counts instructions, not cycles. Made by `{mcu['command']}`.",
        "",
        *table(
            ["core", "sensor, Hz", "family", "flash, bytes", "RAM, bytes", "stack, bytes", "instructions, mean", "most", "of the network", "longest push", "longest next", "decisions"],
            [
                [
                    row["core"], str(row["rate_hz"]), row["family"], f"{row['flash_bytes']:,}", f"{row['ram_bytes']:,}",
                    f"{row['stack_bytes']:,}", f"{row['instructions_mean']:,}", f"{row['instructions_most']:,}",
                    f"{row['instructions_network']:,}", f"{row['longest_push']:,}", f"{row['longest_next']:,}", f"{row['decisions']}, identical" if row["identical"] else "DIFFER",
                ]
                for row in rows
            ],
        ),
    ]  # fmt: skip
