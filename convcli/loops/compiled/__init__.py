"""The loops that numba compiles, and their machine code, which is kept on disk."""
