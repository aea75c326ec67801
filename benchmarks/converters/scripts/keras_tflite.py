"""The network rebuilt in tf.keras and converted by TFLiteConverter, int8 from input to output."""

from __future__ import annotations

import tensorflow as tf

from .task import Task, from_command_line
from .tflite_converter import convert_int8


def main() -> None:
    """Convert the task of the command line."""
    task, out = from_command_line()
    convert_int8(tf.lite.TFLiteConverter.from_keras_model(_network(task)), task, (1, 1, -1, 1), out)


def _network(task: Task) -> tf.keras.Model:
    keras = tf.keras.layers
    window = current = tf.keras.Input((1, task.windows.shape[1], 1), batch_size=1)
    weights = []
    for layer in task.convs:
        channels, _, kernel = layer.weight.shape
        conv = keras.Conv2D(channels, (1, kernel), (1, layer.stride), activation="relu")
        current = conv(current)
        weights.append((conv, layer.weight.transpose(2, 1, 0)[None], layer.bias))
    head = keras.Dense(len(task.head.bias))
    pooled = keras.AveragePooling2D((1, current.shape[2]))(current)
    model = tf.keras.Model(window, head(keras.Flatten()(pooled)))
    weights.append((head, task.head.weight[:, :, 0].T, task.head.bias))
    for made, weight, bias in weights:
        made.set_weights([weight, bias])
    return model


if __name__ == "__main__":
    main()
