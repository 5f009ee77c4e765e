"""Kernels: their weights and factors, the named ones, files, drawings, folding."""
