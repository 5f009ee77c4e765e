"""The loops that numba compiles, and their machine code, kept on disk and mapped again."""
