"""What the bridge did on a real BlueZ, in docs/bluetooth.md."""

from __future__ import annotations

from typing import Any, Final

from edge_mi.markdown import table

Json = dict[str, Any]

_ACCELERATORS: Final = {
    "kvm": "by KVM",
    "tcg": "by emulation, which says nothing of speed, so no time is given",
}
_SOFTWARE: Final = (("Linux", "linux"), ("BlueZ", "bluez"), ("bleak", "bleak"), ("dbus-fast", "dbus-fast"),
                    ("bumble", "bumble"), ("Python", "python"))  # fmt: skip
# what is worth a word beside the columns, where a scenario has it
_MORE: Final = {
    "reconnects": "reconnects",
    "frames_dropped": "frames dropped and counted",
    "samples_lost": "samples in gaps",
    "not_found": "not found, as they must not",
    "links": "encrypted links",
    "exit_code": "exit code",
    "whole": "MTU streamed whole",
    "refused": "refused",
    "stopped": "streams stopped",
    "failed": "left by an error",
}


def ble_vm_figures(result: Json) -> list[str]:
    """One row a scenario, from results/ble_vm.json."""
    versions = result["versions"]
    software = ", ".join(f"{title} {versions[key]}" for title, key in _SOFTWARE)
    passed = sum(each["passed"] for each in result["scenarios"])
    return [
        f"{software}; the processor of QEMU {versions['qemu']} was run {_ACCELERATORS[result['accelerator']]}. "
        f"{passed} of {len(result['scenarios'])} scenarios passed. Made by `{result['command']}`.",
        "",
        *table(
            ["scenario", "what must hold", "frames", "samples", "wrong", "doubled", "and"],
            [_row(each) for each in result["scenarios"]],
        ),
    ]


def _row(scenario: Json) -> list[str]:
    figures = scenario["figures"]
    counts = [_count(figures.get(key)) for key in ("frames", "samples", "wrong", "frames_doubled")]
    more = [f"{_words(figures[key])} {what}" for key, what in _MORE.items() if figures.get(key)]
    more += [] if scenario["passed"] else [f"FAILED: {scenario['why']}"]
    return [scenario["scenario"], scenario["what"].rstrip("."), *counts, "; ".join(more)]


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
