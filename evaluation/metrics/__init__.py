"""Formulas on arrays: identity, pose, expression, flicker, intervals."""
