"""Signal regression: leads or stretches that the network did not see, from those that it saw."""

from __future__ import annotations

from torch import Tensor


def reconstruction_loss(
    output_mv: Tensor, target_mv: Tensor, counted: Tensor, count: Tensor | None = None
) -> Tensor:
    """Mean squared error over the samples where `counted` is true (scalar, mV^2); 0 where none is.

    output_mv, target_mv: float32 (n, leads, samples); counted: bool, of that shape or one that broadcasts to
    it. Samples that the record lacks are not counted, whatever stands in their place, NaN included. For masked
    reconstruction `counted` is what was hidden and is known, after He et al., "Masked autoencoders are
    scalable vision learners", arXiv 2111.06377, section 3 (the loss is computed on masked patches only).
    count: what the squared errors' sum is divided by, where it is not the number of samples that are counted here.
    Raises ValueError for unequal shapes.
    """
    if output_mv.shape != target_mv.shape:
        raise ValueError(
            f"output and target need equal shapes, found {tuple(output_mv.shape)} and {tuple(target_mv.shape)}"
        )
    present = counted.expand_as(target_mv)
    # filled before the difference: a gradient through 0 * NaN would be NaN
    difference = (output_mv - target_mv.masked_fill(~present, 0.0)).masked_fill(~present, 0.0)
    return difference.square().sum() / (present.sum().clamp(min=1) if count is None else count)
