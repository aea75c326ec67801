"""torch to .tflite by litert-torch, quantised by PT2E: static, weights per channel."""

from __future__ import annotations

import litert_torch
import torch
from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
from litert_torch.quantize.quant_config import QuantConfig
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from .task import from_command_line
from .torch_network import TorchNetwork


def main() -> None:
    """Convert the task of the command line."""
    task, out = from_command_line()
    windows = [torch.from_numpy(window) for window in task.samples(1, 1, -1)]
    example = (windows[0],)
    quantizer = PT2EQuantizer().set_global(
        get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    )
    graph = prepare_pt2e(torch.export.export(TorchNetwork(task).eval(), example).module(), quantizer)
    with torch.no_grad():
        for window in windows:
            graph(window)
    graph = convert_pt2e(graph, fold_quantize=False)
    litert_torch.convert(graph, example, quant_config=QuantConfig(pt2e_quantizer=quantizer)).export(str(out))


if __name__ == "__main__":
    main()
