"""The .tflite graphs as C arrays, for those who run them with TensorFlow Lite Micro."""

from __future__ import annotations

from typing import Final

from edge_mi.bundle import FRONT_TFLITE, HEAD_TFLITE, TFLITE_INT8, QuantParams
from edge_mi.netspec import NetSpec

from .quantise import QuantisedNet

_GRAPHS: Final = {"model": TFLITE_INT8, "front": FRONT_TFLITE, "head": HEAD_TFLITE}
_PER_LINE = 16
_ABOUT = "/* Written by `edge-mi export --to tflm`; do not edit. See examples/tflm/. */\n"


def write_tflm(net: QuantisedNet, content: dict[str, bytes]) -> tuple[bytes, bytes]:
    """Header and C++ source of the graphs in `content`."""
    header = _ABOUT + "#ifndef EDGE_MI_MODEL_H\n#define EDGE_MI_MODEL_H\n\n" + _constants(net)
    source = _ABOUT + '#include "edge_mi_model.h"\n'
    for name, file in _GRAPHS.items():
        data = content[file]
        header += f"\nextern const unsigned char edge_mi_{name}_tflite[{len(data)}]; /* {file} */"
        rows = [
            ", ".join(str(byte) for byte in data[i : i + _PER_LINE]) for i in range(0, len(data), _PER_LINE)
        ]
        source += f"\nalignas(16) const unsigned char edge_mi_{name}_tflite[{len(data)}] = {{\n    "
        source += ",\n    ".join(rows) + "\n};\n"
    return (header + "\n\n#endif\n").encode("ascii"), source.encode("ascii")


def _constants(net: QuantisedNet) -> str:
    spec: NetSpec = net.spec
    values = {
        "WINDOW_SAMPLES": spec.window_samples,
        "HOP_SAMPLES": spec.hop_samples,
        "FRONT_SAMPLES": spec.front_samples,
        "HOP_FRAMES": spec.hop_frames,
        "FRAMES": spec.frames,
        "FEATURES": spec.features,
        "OUTPUTS": len(spec.outputs),
    }
    lines = [f"#define EDGE_MI_{name} {value}" for name, value in values.items()]
    for name, params in (("INPUT", net.input), ("OUTPUT", net.output)):
        lines += _quantisation(name, params)
    return "\n".join(lines) + "\n"


def _quantisation(name: str, params: QuantParams) -> list[str]:
    return [
        f"#define EDGE_MI_{name}_SCALE {params.scale!r}f",
        f"#define EDGE_MI_{name}_ZERO_POINT {params.zero_point}",
    ]
