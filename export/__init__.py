"""Workshop: one quantisation, written as TFLite and ONNX, checked before anything is kept."""
