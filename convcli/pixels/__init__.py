"""Samples: sources and borders, colour and light, rounding, padding."""
