"""Networks that measure: judges, pose, expression, feature maps."""
