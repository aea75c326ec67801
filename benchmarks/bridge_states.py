"""The life of a connection, drawn from the table that the bridge runs on: docs/bluetooth-states.md."""

from __future__ import annotations

from edge_mi.firmware_bridge.life import FINAL, TABLE, State


def bridge_states() -> str:
    """The document: a diagram, and the same as a table."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (before, event), after in TABLE.items():
        arrows.setdefault((before, after), []).append(event.value)
    lines = [
        "# The life of a connection",
        "",
        "Drawn from `TABLE` in `firmware_bridge/life.py`, which is what runs, by `python -m edge_mi.benchmarks.documents`.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        *(f'    state "{state.value}" as {state.name}' for state in State),
        f"    [*] --> {State.SCANNING.name}",
        *(
            f"    {before.name} --> {after.name}: {' / '.join(words)}"
            for (before, after), words in arrows.items()
        ),
        *(f"    {state.name} --> [*]" for state in State if state in FINAL),
        "```",
        "",
        "| while it is | and | it goes on with |",
        "|---|---|---|",
        *(f"| {before.value} | {event.value} | {after.value} |" for (before, event), after in TABLE.items()),
    ]
    return "\n".join(lines) + "\n"
