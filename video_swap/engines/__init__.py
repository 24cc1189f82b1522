"""What runs a generator: Keras or OpenVINO, in which precision."""
