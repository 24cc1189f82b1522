"""What a step runs on: TensorFlow with its distribution strategies, or JAX."""
