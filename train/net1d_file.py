"""Reading weights into a network: ECGFounder's published checkpoints, and our own safetensors.

A `.pth` is a pickle, which can run code when it is opened: it is read in torch's mode for tensors alone. Layouts
are {"state_dict": tensors, ...} and the tensors themselves; names may begin with `module.`, as networks trained
on several processors leave them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from edge_mi.errors import CheckpointError

# tensors that an embedding does not depend on: Net1D's head, PatchNet's head and side heads
HEADS: Final = ("dense.", "head.", "side.")
_WRAPPED: Final = "module."


def load_weights(net: nn.Module, path: Path) -> None:
    """Give `net` every tensor of the file at `path`, apart from those of the heads, which stay as they are.

    Raises CheckpointError for a file that cannot be read, and for the first tensor that does not fit.
    """
    found = {name: value for name, value in read_tensors(path).items() if not name.startswith(HEADS)}
    expected = {name: value for name, value in net.state_dict().items() if not name.startswith(HEADS)}
    for name, value in expected.items():
        if name not in found:
            raise CheckpointError(f"{path}: tensor {name} is missing; this checkpoint is of another network")
        if found[name].shape != value.shape:
            raise CheckpointError(
                f"{path}: tensor {name} has shape {tuple(found[name].shape)}, the network's is {tuple(value.shape)}"
                f"{_lead_hint(name, found[name], value)}"
            )
        if not torch.isfinite(found[name].float()).all():
            raise CheckpointError(f"{path}: tensor {name} has values that are not finite")
    if foreign := next((name for name in found if name not in expected), None):
        raise CheckpointError(
            f"{path}: tensor {foreign} is none of the network's; this checkpoint is of another"
        )
    net.load_state_dict(found, strict=False)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name, of a safetensors file or of what torch.save wrote. Raises CheckpointError."""
    try:
        if path.suffix == ".safetensors":
            tensors: dict[str, Tensor] = safetensors.torch.load_file(path)
            return tensors
        with torch.serialization.safe_globals(_numbers()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path}: there is no such file") from exc
    except Exception as exc:  # the libraries raise several unrelated types for a damaged file
        raise CheckpointError(
            f"{path}: no safetensors file, and no PyTorch file of tensors alone ({str(exc).splitlines()[0]}); where "
            'you trust its origin, save its "state_dict" by itself first'
        ) from exc
    return _tensors_of(path, content)


def _tensors_of(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and "state_dict" in content:
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f'{path}: neither tensors by name nor {{"state_dict": tensors by name}}')
    return {str(name).removeprefix(_WRAPPED): value for name, value in content.items()}


def _numbers() -> list[Any]:
    """What a training run may have saved beside its tensors and does no harm: numpy's numbers."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")]
    # numpy 1 and 2 keep the function in two places, and a file names the one that it was written with
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *kinds,
    ]


def _lead_hint(name: str, found: Tensor, expected: Tensor) -> str:
    if name != "first_conv.conv.weight" or found.dim() != 3 or found.shape[1] == expected.shape[1]:
        return ""
    return f": it is a checkpoint for {found.shape[1]} leads, one for {expected.shape[1]} is needed"
