"""Kernels: weights and factors, named kernels, kernel files, plots, folding."""
