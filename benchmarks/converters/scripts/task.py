"""What every script is given, in one .npz: the float network and the windows to calibrate on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """A convolution over time without padding: weight float32 (out, in, kernel), bias float32 (out,)."""

    name: str
    stride: int
    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class Task:
    """Convolutions with ReLU, then the mean over time, then `head`; windows float32 (n, samples), millivolts."""

    convs: tuple[Layer, ...]
    head: Layer
    windows: FloatArray

    def samples(self, *shape: int) -> Iterator[FloatArray]:
        """The windows one by one, each in `shape`."""
        for window in self.windows:
            yield window.reshape(shape)


def from_command_line() -> tuple[Task, Path]:
    """The task that the first argument names, and the file that the second says to write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with np.load(args.task) as given:
        layers = [
            Layer(str(name), int(stride), given[f"{name}.weight"], given[f"{name}.bias"])
            for name, stride in zip(given["layers"], given["strides"], strict=True)
        ]
        task = Task(tuple(layers[:-1]), layers[-1], given["windows"])
    return task, args.out
