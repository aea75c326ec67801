"""Sigmoid loss over all pairs of a batch: which lead-I view belongs to which 12-lead record?"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class PairwiseSigmoidLoss(nn.Module):
    """-1/n sum_ij log sigmoid(y_ij (t <u_i, v_j> + b)), y = 1 for i = j, else -1 (scalar, nats).

    t is learned as its logarithm and starts at `scale`; b is learned and starts at `bias`, or is absent where
    `bias` is None. Source: Zhai et al., "Sigmoid loss for language image pre-training", arXiv 2303.15343;
    there b starts at -10, because at first one pair in n is positive.
    """

    def __init__(self, scale: float = 1 / 0.07, bias: float | None = -10.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        """u, v: float32 (n, dim); row i of both is a pair. They are normalised here."""
        if u.shape != v.shape:
            raise ValueError(f"pairs need equal shapes, found {tuple(u.shape)} and {tuple(v.shape)}")
        logits = self.log_scale.exp() * F.normalize(u, dim=1) @ F.normalize(v, dim=1).T
        if self.bias is not None:
            logits = logits + self.bias
        signs = 2 * torch.eye(len(u), device=u.device) - 1
        return -F.logsigmoid(signs * logits).sum() / len(u)
