"""Response distillation: the student says what the teacher says, with the teacher's doubts."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor


def response_loss(logits: Tensor, teacher_logits: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 times the mean cross-entropy of sigmoid(logits / T) under sigmoid(teacher_logits / T) (scalar, nats).

    Both float32 of one shape; every output is a yes or no of its own, for which the softmax of the source is the
    sigmoid. No gradient goes to the teacher. Source: Hinton et al., "Distilling the knowledge in a neural
    network", arXiv 1503.02531, eq. 1; the factor T^2, which keeps gradients of one size, is in its section 2.
    Raises ValueError for unequal shapes or a temperature that is not positive.
    """
    if logits.shape != teacher_logits.shape:
        raise ValueError(
            f"student and teacher need equal shapes, found {tuple(logits.shape)} and {tuple(teacher_logits.shape)}"
        )
    if not temperature > 0:
        raise ValueError(f"a temperature is positive, found {temperature}")
    soft = torch.sigmoid(teacher_logits.detach() / temperature)
    return temperature**2 * F.binary_cross_entropy_with_logits(logits / temperature, soft)
