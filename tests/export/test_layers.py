"""The figures of a layer: right, and the same on every processor."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from edge_mi.export.check_windows import layer_windows
from edge_mi.export.layers import run_layers, sqnr_db
from edge_mi.export.quantise import quantise
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from toy import TOY_NET, toy_checkpoint

from edge_mi.float_model import run_layers as run_float_layers


def test_the_float_network_adds_in_its_stated_order() -> None:
    """Plain Python floats in that order are the oracle: a BLAS, wide vectors or fused steps would show."""
    checkpoint = toy_checkpoint()
    windows = np.random.default_rng(3).normal(scale=0.4, size=(2, TOY_NET.window_samples))
    found = run_float_layers(TOY_NET, checkpoint.weights, windows, reproducible=True)
    for n, window in enumerate(windows):
        x = [[float(value)] for value in window]
        for name in TOY_NET.layer_names:
            weight, bias = (array.astype(np.float64) for array in checkpoint.weights[name])
            if name == "head":
                total = x[0]
                for frame in x[1:]:
                    total = [a + b for a, b in zip(total, frame, strict=True)]
                x = [[value / TOY_NET.frames for value in total]]
            stride = next((conv.stride for conv in TOY_NET.convs if conv.name == name), 1)
            out = []
            for t in range(0, len(x) - weight.shape[2] + 1, stride):
                row = []
                for o in range(len(weight)):
                    total_o = 0.0
                    for i in range(weight.shape[1]):
                        for k in range(weight.shape[2]):
                            total_o += x[t + k][i] * float(weight[o, i, k])
                    row.append(total_o + float(bias[o]))
                out.append(row if name == "head" else [max(value, 0.0) for value in row])
            x = out
            assert np.array_equal(found[name][n], np.array(x)), name


def test_it_is_the_float_network() -> None:
    checkpoint = toy_checkpoint()
    windows = np.random.default_rng(4).normal(scale=0.4, size=(3, TOY_NET.window_samples))
    one = run_float_layers(TOY_NET, checkpoint.weights, windows, reproducible=True)
    other = run_float_layers(TOY_NET, checkpoint.weights, windows)
    for name, values in other.items():
        np.testing.assert_allclose(one[name], values, rtol=1e-9, atol=1e-12)


@settings(max_examples=50)
@given(
    arrays(np.float64, 30, elements=st.floats(-100, 100, width=32)),
    arrays(np.float64, 30, elements=st.floats(-100, 100, width=32)),
    st.randoms(use_true_random=False),
)
def test_sqnr_is_power_over_noise_in_any_order(exact: np.ndarray, real: np.ndarray, random: object) -> None:
    found = sqnr_db(exact, real)
    order = random.sample(range(30), 30)  # type: ignore[attr-defined]
    assert sqnr_db(exact[order], real[order]) == found
    power, noise = float((exact**2).sum()), float(((exact - real) ** 2).sum())
    if found is None:
        assert power == 0 or noise == 0
    else:
        assert abs(found - 10 * math.log10(power / noise)) <= 0.0501


def test_figures_are_those_of_the_tensors() -> None:
    checkpoint = toy_checkpoint()
    net = quantise(checkpoint)
    windows_mv = layer_windows(checkpoint.info.signal, net.spec)
    runs = run_layers(net, checkpoint.weights, windows_mv)
    assert [run.figures.shape for run in runs] == [(length, conv.out_channels) for length, conv in zip(
        TOY_NET.lengths, TOY_NET.convs, strict=True)] + [(1, 1)]  # fmt: skip
    assert sum(run.figures.macs_window for run in runs) == TOY_NET.macs_window
    assert sum(run.figures.macs_hop for run in runs) == TOY_NET.macs_hop
    assert sum(run.figures.bytes for run in runs) == TOY_NET.parameters + 3 * sum(
        len(layer.bias) for layer in (*net.convs, net.head)
    )
    for before, run in pairwise(runs[:-1]):
        assert run.figures.source == before.figures.result
    for run in runs:
        figures = run.figures
        assert figures.windows == len(windows_mv) == 32
        assert figures.result.low == round(float(run.real.min()), 4)
        assert figures.result.high == round(float(run.real.max()), 4)
        assert figures.result.scale * (-128 - figures.result.zero_point) <= figures.result.low
        top = figures.result.scale * (127 - figures.result.zero_point)
        beyond = (run.exact > top).mean()
        assert figures.saturated >= round(float(beyond), 6)
