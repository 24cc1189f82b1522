"""The training programs: losses, one step, the loop, checkpoints."""
