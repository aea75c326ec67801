"""Feature distillation: the student's embedding, brought to the teacher's size, equals the teacher's."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Distance: TypeAlias = Literal["squared", "cosine"]


def feature_loss(features: Tensor, teacher: Tensor, distance: Distance = "squared") -> Tensor:
    """Mean over a batch of 1/2 |features - teacher|^2, or of 1 - their cosine (scalar).

    Both float32 (n, dim); the caller's regressor makes the sizes equal. No gradient goes to the teacher.
    Source: Romero et al., "FitNets: hints for thin deep nets", arXiv 1412.6550, eq. 3, on the last embedding
    instead of a middle layer; the cosine is ours, for teachers whose embedding has no scale.
    Raises ValueError for unequal shapes.
    """
    if features.shape != teacher.shape:
        raise ValueError(
            f"student and teacher need equal shapes, found {tuple(features.shape)} and {tuple(teacher.shape)}"
        )
    aim = teacher.detach()
    if distance == "cosine":
        return (1 - F.cosine_similarity(features, aim, dim=1)).mean()
    return 0.5 * (features - aim).square().sum(1).mean()
