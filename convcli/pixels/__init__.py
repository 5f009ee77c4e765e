"""Samples: what lies beyond the edge, colour and light, rounding, padding."""
