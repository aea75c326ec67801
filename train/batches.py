"""Predictions for many records, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PREDICT_BATCH: Final = 256


def batches(rows: NDArray[np.int64]) -> list[Tensor]:
    """`rows` in pieces that a prediction takes at a time."""
    return [torch.from_numpy(rows[i : i + PREDICT_BATCH]) for i in range(0, len(rows), PREDICT_BATCH)]


def in_batches(rows: NDArray[np.int64], predict: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
    """`predict(rows)`, float32 (len(rows), ...), of batches of `rows`, without gradients."""
    with torch.no_grad():
        found = [predict(batch) for batch in batches(rows)]
    result: NDArray[np.float32] = torch.cat(found).numpy()
    return result
