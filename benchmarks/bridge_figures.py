"""The part of docs/figures.md on the Bluetooth bridge."""

from __future__ import annotations

from typing import Any

from edge_mi.markdown import table

Json = dict[str, Any]
_SEEN = {"counter": "exactly, by a counter", "stamp": "by the sensor's clock", "none": "not at all"}


def bridge_figures(stream: Json, soak: Json, clock: Json) -> list[str]:
    """Lines of the section, from results/stream.json, soak.json and sensor_clock.json."""
    machine = stream["machine"]
    return [
        "## From patch to decision", "",
        f"{machine['processor']}, Python {machine['python']}. {stream['seconds']:g} s of ECG from an emulated H10 over a virtual link, "
        f"unpaced, emulator, link, client and detector in one process on one core: {stream['times_real_time']:g} times real time, "
        f"{stream['samples_lost']} of {stream['samples_sent']:,} samples lost. At the patch's own pace the process that streams and "
        f"decides takes {stream['cpu_percent']:g} % of one core ({stream['paced_seconds']:g} s, {stream['paced_decisions']} decisions, "
        f"with a Bluetooth stack in Python of its own, which a real adapter does without). Made by `{stream['command']}`.",
        "", "### A day with a fault a minute", "",
        "Hours of the sensor's time, unpaced, through the same client: lost, doubled, cut and swapped frames, stalls and "
        "lost links in turn, on a clock that is off. Every sample was delivered or counted as lost. Where only the sensor's clock tells, "
        f"one sample and 0.1 % of each gap are allowed (contract C2). Made by `{soak['command']}`.",
        "",
        *table(
            ["patch", "hours", "losses are seen", "faults", "delivered", "lost, and known to be", "gaps", "doubled", "reconnects",
             "unaccounted for", "allowed", "memory after 1 h, MiB", "at the end"],
            [_day(run) for run in soak["runs"]],
        ),
        "", "### Two clocks", "",
        f"Simulated: {clock['hours']:g} h of an H10's frames whose clock is off by {clock['drift_ppm']:g} ppm, each late by one of these "
        f"laws; from minute {clock['from_minute']:g} on, times of the frames against the truth, but for a constant. The fit rests on "
        "the fastest frames. Where delays have no sharp fast end, so that hardly a frame is fast, it misses the 5 ms that "
        f"are asked for: the last two rows. What the model sees does not depend on it. Made by `{clock['command']}`.",
        "",
        *table(
            ["delay of a frame", "error, ms, 95 % below", "largest", "error of the drift, ppm, 95 % below", "steps seen (none is right)"],
            [
                [row["jitter"], f"{row['error_ms_p95']:.2f}", f"{row['error_ms_max']:.2f}", f"{row['drift_error_ppm_p95']:.2f}",
                 str(row["steps_seen"])]
                for row in clock["rows"]
            ],
        ),
        "",
    ]  # fmt: skip


def _day(run: Json) -> list[str]:
    counts, memory_mib = run["statistics"], run["memory_mib"]
    numbers = (
        run["faults"],
        counts["samples"],
        counts["samples_lost"],
        counts["gaps"],
        counts["duplicate_frames"],
        counts["reconnects"],
        run["unaccounted_samples"],
        run["allowed_samples"],
    )
    return [
        run["profile"],
        f"{run['hours']:g}",
        _SEEN[run["grade"]],
        *(f"{number:,}" for number in numbers),
        f"{memory_mib[0]:g}",
        f"{memory_mib[-1]:g}",
    ]
