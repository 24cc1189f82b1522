"""What runs a generator: OpenVINO, ONNX Runtime or Keras, in which precision."""
