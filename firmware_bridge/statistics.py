"""What happened in one stream, in numbers that a user can read."""

from __future__ import annotations

from dataclasses import dataclass

from .frames import Grade

_SEEN = {
    "counter": "losses counted exactly",
    "stamp": "losses known by the sensor's clock",
    "none": "this patch sends neither counter nor time: losses cannot be seen",
}


@dataclass(slots=True)
class StreamStatistics:
    """Counts of one stream.

    rate_hz: by the sensor's own clock, or by arrival where it has none; None before there are 60 s of it.
    drift_ppm: of the sensor's clock against this machine's, positive where it is fast.
    """

    grade: Grade | None = None
    frames: int = 0
    samples: int = 0
    gaps: int = 0
    samples_lost: int = 0
    unknown_gaps: int = 0
    duplicate_frames: int = 0
    late_frames: int = 0
    bad_frames: int = 0
    dropped_frames: int = 0
    restarts: int = 0
    reconnects: int = 0
    contact_losses: int = 0
    clock_steps: int = 0
    rate_hz: float | None = None
    drift_ppm: float | None = None
    battery_percent: int | None = None

    @property
    def loss_visible(self) -> bool:
        """Whether a lost sample would have been seen (contract C2)."""
        return self.grade != "none"

    def __str__(self) -> str:
        clock = "its own clock" if self.loss_visible else "its arrival"
        rate = "rate not fitted yet" if self.rate_hz is None else f"{self.rate_hz:.3f} Hz by {clock}"
        words = [f"{self.samples} samples in {self.frames} frames", rate]
        if self.gaps:
            words.append(f"{self.samples_lost} samples lost in {self.gaps} gaps")
        elif self.loss_visible and not self.unknown_gaps:
            words.append("none lost")
        if self.drift_ppm is not None:
            words.append(f"clock {self.drift_ppm:+.0f} ppm against this machine's")
        for count, what in (
            (self.unknown_gaps, "gaps of unknown length"),
            (self.duplicate_frames, "doubled frames dropped"),
            (self.late_frames, "frames out of order dropped"),
            (self.bad_frames, "frames not understood"),
            (self.dropped_frames, "frames dropped because this machine was too slow"),
            (self.restarts, "restarts of the sensor"),
            (self.clock_steps, "steps of the sensor's clock"),
            (self.reconnects, "reconnects"),
            (self.contact_losses, "losses of contact"),
        ):
            if count:
                words.append(f"{count} {what}")
        if self.battery_percent is not None:
            words.append(f"battery {self.battery_percent} %")
        if self.grade is not None:
            words.append(_SEEN[self.grade])
        return ", ".join(words)
