"""What the guest said, gathered into the document that is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from edge_mi.benchmarks.debian_packages import say

from edge_mi.errors import CheckFailed

SCHEMA: Final = 1
COMMAND: Final = "make ble-vm"

Json = dict[str, Any]


class Report:
    """Takes the guest's documents as they come, and tells the person who waits."""

    def __init__(self) -> None:
        self._versions: Json = {}
        self._announced: list[str] = []
        self._results: list[Json] = []

    def take(self, message: Json) -> None:
        """One document of the guest."""
        if "versions" in message:
            self._versions, self._announced = message["versions"], message["scenarios"]
            say(f"the guest is up: {len(self._announced)} scenarios")
        elif "scenario" in message:
            self._results.append(message)
            said = ", ".join(f"{name} {value}" for name, value in message["figures"].items())
            say(
                f"{'passed' if message['passed'] else 'FAILED'}: {message['scenario']}: {message['why'] or said}"
            )

    def document(self, exit_code: int, accelerator: str, versions: Json) -> Json:
        """The result. Raises CheckFailed where the guest did not do what it announced."""
        names = [each["scenario"] for each in self._results]
        if names != self._announced or not names:
            missing = [name for name in self._announced if name not in names]
            raise CheckFailed(
                f"the guest ended with exit code {exit_code} before these: {', '.join(missing) or 'all'}"
            )
        return {
            "schema": SCHEMA,
            "accelerator": accelerator,
            "versions": {**self._versions, **versions},
            "scenarios": self._results,
            "passed": exit_code == 0 and all(each["passed"] for each in self._results),
            "command": COMMAND,
        }


def failures(document: Json, exit_code: int) -> Sequence[str]:
    """One line for each thing that failed."""
    lines = [f"{each['scenario']}: {each['why']}" for each in document["scenarios"] if not each["passed"]]
    return lines or ([] if exit_code == 0 else [f"the guest ended with exit code {exit_code}"])
