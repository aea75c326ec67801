"""Environments of the converters, which cannot live beside each other: exact pins, built on use."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# torch by its pin first, before anything that asks for a range
TORCH: Final = ("torch==2.13.0",)
ENVIRONMENTS: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "litert-torch": (
        TORCH,
        (
            "litert-torch==0.10.0",
            "torchao==0.18.0",
            "ai-edge-quantizer==0.10.0",
            "ai-edge-litert==2.3.0",
            "litert-converter==0.5.0",
            "jax==0.10.2",
        ),
    ),
    "tensorflow": (("tensorflow==2.21.0", "keras==3.15.1", "numpy==2.4.6", "protobuf==7.36.2"),),
    "onnx": (TORCH, ("onnx==1.23.2", "onnxscript==0.7.2", "onnxruntime==1.32.0", "numpy==2.4.6")),
    # it pins the rest itself: TensorFlow 2.19.0, numpy 1.26.4
    "onnx2tf": (("onnx2tf==1.29.24",),),
}
_DONE: Final = ".pins"


class RouteFailed(Exception):
    """A converter, or the making of its environment, did not do what was asked; the message is its last line."""


@dataclass(frozen=True, slots=True)
class Environments:
    """Virtual environments below `folder`, each made when it is first asked for."""

    folder: Path

    def python(self, name: str) -> Path:
        """The interpreter of the environment `name`. Raises RouteFailed where it cannot be made."""
        place = self.folder / name
        python = place / "bin" / "python"
        pins = "\n".join(" ".join(step) for step in ENVIRONMENTS[name])
        done = place / _DONE
        if done.is_file() and done.read_text(encoding="utf-8") == pins:
            return python
        print(f"making the environment {place} ({pins.replace(chr(10), ' ')})", flush=True)
        run([sys.executable, "-m", "venv", "--clear", str(place)])
        for step in ENVIRONMENTS[name]:
            run([str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install", *step])
        done.write_text(pins, encoding="utf-8")
        return python


def run(words: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a program to its end. Raises RouteFailed with its last line where it fails."""
    try:
        done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except OSError as exc:
        raise RouteFailed(f"{words[0]}: {exc.strerror}") from exc
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise RouteFailed(lines[-1].strip())
