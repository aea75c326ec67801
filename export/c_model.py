"""The exported C code, compiled for this machine and called from Python, so that it can be compared."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge_mi.decision import Decision, Reason, State
from edge_mi.errors import ExportDisagreement
from edge_mi.firmware import Firmware
from edge_mi.netspec import NetSpec

from .c_writer import SOURCE

FLAGS: Final = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion")
ANSWERS: Final[tuple[State | None, ...]] = (None, "negative", "positive", "undetermined", "alarm")
REASONS: Final[tuple[Reason | None, ...]] = (
    None, "warming_up", "gap", "flat", "saturated", "noise", "lead_off", "wrong_gain", "inverted"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Missing:
    """`n_samples` that never came; 0 where nobody knows how many."""

    n_samples: int


class _CDecision(ctypes.Structure):
    """`edge_mi_decision`, with room for more outputs than any network here has."""

    _fields_ = (
        ("t_ticks", ctypes.c_uint64),
        ("state", ctypes.c_int),
        ("reason", ctypes.c_int),
        ("probability_ppm", ctypes.c_int32),
        ("quality_permille", ctypes.c_int16),
        ("heart_rate_dbpm", ctypes.c_int16),
        ("logits", ctypes.c_int8 * 64),
    )


class CModel:
    """`edge_mi.c` as a library of this machine. A context manager: the library goes with it.

    Raises ExportDisagreement where the code does not compile cleanly under `FLAGS`.
    """

    def __init__(self, files: dict[str, bytes], spec: NetSpec, firmware: Firmware, compiler: str) -> None:
        self.spec, self.firmware = spec, firmware
        self._folder = tempfile.TemporaryDirectory(prefix="edge-mi-c-")
        folder = Path(self._folder.name)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        library = folder / "edge_mi.so"
        command = [
            compiler,
            *FLAGS,
            "-O2",
            "-fPIC",
            "-shared",
            "-DEDGE_MI_TESTING",
            "-o",
            str(library),
            str(folder / SOURCE),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        except OSError as exc:
            self._folder.cleanup()
            raise ExportDisagreement(
                f"the C code cannot be checked: {compiler} does not run ({exc.strerror})"
            ) from exc
        if done.returncode != 0:
            self._folder.cleanup()
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
            raise ExportDisagreement(f"the C code does not compile with {compiler}: {first}")
        try:
            self._code: Any = ctypes.CDLL(str(library))
        except OSError as exc:
            self._folder.cleanup()
            raise ExportDisagreement(
                f"the C code cannot be checked: what {compiler} makes does not load here; set CC to this machine's "
                "own compiler"
            ) from exc
        self._code.edge_mi_push.restype = ctypes.c_size_t
        self._code.edge_mi_test_filter.restype = ctypes.c_size_t
        self._code.edge_mi_test_state_bytes.restype = ctypes.c_size_t
        self.state_bytes = int(self._code.edge_mi_test_state_bytes())
        self._state = ctypes.create_string_buffer(self.state_bytes + 8)

    def __enter__(self) -> CModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def windows(self, windows: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Embeddings int8 (n, features) and logits int8 (n, K) of windows int8 (n, samples) of one stream.

        They follow each other by a hop, and only what is new is computed, as in the firmware.
        """
        hop = self.spec.hop_samples
        embeddings = np.empty((len(windows), self.spec.features), dtype=np.int8)
        logits = np.empty((len(windows), len(self.spec.outputs)), dtype=np.int8)
        for i, window in enumerate(windows):
            new = np.ascontiguousarray(window if i == 0 else window[-hop:])
            self._code.edge_mi_test_network(
                self._state, int(i == 0), _pointer(new), ctypes.c_size_t(len(new)),
                _pointer(embeddings[i]), _pointer(logits[i]),
            )  # fmt: skip
        return embeddings, logits

    def filtered(self, codes: NDArray[np.int16]) -> NDArray[np.int32]:
        """A whole segment of codes int16 (n,) through the chain: int32 (m,), 2^-14 mV."""
        values = np.ascontiguousarray(codes)
        result = np.empty(len(codes) * 2 + 1024, dtype=np.int32)
        self._code.edge_mi_init(self._state)
        count = self._code.edge_mi_test_filter(
            self._state, _pointer(values), ctypes.c_size_t(len(values)), 1, _pointer(result)
        )
        return result[:count]

    def decisions(
        self,
        stream: Sequence[NDArray[np.int16] | Missing],
        *,
        model_id: str = "",
        chunk: int = 1 << 16,
        drain: bool = True,
        trust_polarity: bool = False,
    ) -> list[Decision]:
        """A whole stream of codes int16 (n,) and gaps, given in chunks of at most `chunk`, with its end.

        drain: ask for the decisions that a gap brings at once; the next push gives them otherwise.
        """
        self.begin(trust_polarity=trust_polarity)
        result: list[Decision] = []
        for part in stream:
            if isinstance(part, Missing):
                if part.n_samples:
                    self._code.edge_mi_gap(self._state, ctypes.c_uint32(part.n_samples))
                else:
                    self._code.edge_mi_reset(self._state)
                result += self._waiting(model_id) if drain else []
                continue
            for first in range(0, len(part), chunk):
                result += self.push(part[first : first + chunk], model_id=model_id)
        return result + self.end(model_id=model_id)

    def begin(self, *, trust_polarity: bool = False) -> None:
        """The start of a stream."""
        self._code.edge_mi_init(self._state)
        self._code.edge_mi_trust_polarity(self._state, int(trust_polarity))

    def push(self, codes: NDArray[np.int16], *, model_id: str = "") -> list[Decision]:
        """Decisions that codes int16 (n,) make due."""
        result = []
        found = _CDecision()
        while len(codes):
            part = np.ascontiguousarray(codes)
            used = self._code.edge_mi_push(
                self._state, _pointer(part), ctypes.c_size_t(len(part)), ctypes.byref(found)
            )
            codes = codes[used:]
            if found.state != 0:
                result.append(self._decision(found, model_id))
        return result

    def end(self, *, model_id: str = "") -> list[Decision]:
        """Decisions that are due when the stream ends."""
        self._code.edge_mi_close(self._state)
        return self._waiting(model_id)

    def snapshot(self) -> bytes:
        """The state, which holds no pointers."""
        return self._state.raw

    def restore(self, snapshot: bytes) -> None:
        """Go on where `snapshot` was taken."""
        ctypes.memmove(self._state, snapshot, len(snapshot))

    def _waiting(self, model_id: str) -> list[Decision]:
        result, found = [], _CDecision()
        while self._code.edge_mi_next(self._state, ctypes.byref(found)):
            result.append(self._decision(found, model_id))
        return result

    def _decision(self, found: _CDecision, model_id: str) -> Decision:
        ticks_hz = np.lcm(self.firmware.rate_hz, self.spec.rate_hz)
        state = ANSWERS[found.state]
        assert state is not None
        return Decision(
            t_s=round(found.t_ticks / int(ticks_hz), 6),
            probability=None if found.probability_ppm < 0 else found.probability_ppm / 1e6,
            state=state,
            reason=REASONS[found.reason],
            quality=None if found.quality_permille < 0 else found.quality_permille / 1000,
            heart_rate_bpm=None if found.heart_rate_dbpm < 0 else found.heart_rate_dbpm / 10,
            model_id=model_id,
        )


def _pointer(array: NDArray[Any]) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)
