"""Ranges: each method finds what it says it looks for, zero is exact, and a range survives the way to int8."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import toy_checkpoint

from edge_mi.bundle import QuantParams
from edge_mi.checkpoint import Range, Ranges
from edge_mi.float_model import measure_ranges
from edge_mi.int8_grid import exact_range, quant_params, weight_scales
from edge_mi.range_search import METHODS, find_range, find_relu_range, squared_error


def spiky(n: int = 20_000) -> np.ndarray:
    """Values of which a few are far outside the others, on the positive side."""
    values = np.random.default_rng(0).normal(size=n)
    values[:: n // 4] = 40.0
    return values


def int8_form(values: np.ndarray, span: Range) -> np.ndarray:
    params = quant_params(span)
    return params.scale * (params.quantise(values).astype(np.float64) - params.zero_point)


def test_minmax_covers_everything() -> None:
    values = spiky()
    assert find_range(values, "minmax") == Range(low=values.min(), high=values.max())


def test_percentiles_drop_the_rarest() -> None:
    values = np.arange(20_001.0)
    found = find_range(values, "percentile")
    assert (found.low, found.high) == pytest.approx((2.0, 19_998.0))


@pytest.mark.parametrize("method", ["mse", "entropy"])
def test_a_search_cuts_extremes_off_that_cost_more_than_they_are_worth(method: str) -> None:
    values = np.random.default_rng(0).normal(size=1_000_000)
    values[0] = 20.0
    found = find_range(values, method)
    assert 3 < found.high < 15
    assert found.low < -3


def test_squared_error_is_that_of_the_int8_values() -> None:
    values = spiky(2_000)
    for span in (Range(low=-3, high=5), Range(low=-0.1, high=41), Range(low=0, high=2)):
        expected = ((int8_form(values, span) - values) ** 2).mean()
        assert squared_error(values, span) == pytest.approx(expected)


def test_mse_finds_no_worse_a_range_than_the_others_or_than_chance() -> None:
    rng = np.random.default_rng(3)
    for values in (
        spiky(),
        rng.laplace(size=5_000),
        np.maximum(rng.normal(size=5_000), 0),
        -rng.random(5_000),
    ):
        best = squared_error(values, find_range(values, "mse"))
        others = [find_range(values, method) for method in METHODS]
        low, high = min(values.min(), 0.0), max(values.max(), 0.0)
        others += [
            Range(low=low * a - 1e-9, high=high * b + 1e-9) for a, b in rng.uniform(0.1, 1, size=(50, 2))
        ]
        # the search has steps of 4.4 %
        assert best <= 1.03 * min(squared_error(values, span) for span in others)


def test_entropy_keeps_a_shape_that_has_no_outliers() -> None:
    values = np.random.default_rng(1).uniform(0, 3, size=100_000)
    assert find_range(values, "entropy").high > 2.9


@pytest.mark.parametrize("method", METHODS)
def test_a_dead_layer_has_a_range(method: str) -> None:
    span = find_relu_range(np.zeros((3, 4, 5)), method)
    assert (span.low, span.high) == (0.0, 1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_layer_that_is_almost_dead_has_a_range(method: str) -> None:
    values = np.zeros(100_000)
    values[7] = 2.0
    assert 0 < find_relu_range(values, method).high <= 2.0


@given(st.floats(2**-20, 1024, width=32), st.integers(-128, 127))
def test_scale_and_zero_point_survive_the_way_through_a_range(scale: float, zero_point: int) -> None:
    params = QuantParams(scale=scale, zero_point=zero_point)
    assert quant_params(exact_range(params)) == params


def test_a_dead_channel_has_a_scale_on_which_its_bias_fits() -> None:
    weight = np.zeros((2, 1, 3), dtype=np.float32)
    weight[0] = [1, -2, 0.5]
    scales = weight_scales(weight, np.array([0.1, 5.0], dtype=np.float32), 0.01)
    assert scales.dtype == np.float32
    assert scales[0] == np.float32(2 / 127)
    assert 5.0 / (0.01 * scales[1]) <= 2**31


def test_the_method_is_named_and_changes_the_ranges_but_not_the_heads() -> None:
    checkpoint = toy_checkpoint()
    windows = np.random.default_rng(1).normal(scale=0.3, size=(64, checkpoint.info.net.window_samples))
    ids = [str(i) for i in range(64)]
    found = [measure_ranges(checkpoint.info.net, checkpoint.weights, windows, ids, m) for m in METHODS]
    assert len({ranges.method for ranges in found}) == len(METHODS)
    assert len({ranges.tensors["input"] for ranges in found}) > 2
    assert len({ranges.tensors["head"] for ranges in found}) == 1
    assert not any(ranges.learned for ranges in found)


def test_learned_ranges_say_so() -> None:
    assert Ranges(method="qat-lsq: learned", tensors={}, window_ids=()).learned
