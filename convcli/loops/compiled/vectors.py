"""How long the vectors of this processor are, or of the one that numba is told to compile for."""

from __future__ import annotations

from convcli.loops.compiled.compiling import target

BYTES = 64 if "+avx512f" in target()[1] else 32
"""Bytes of a vector: AVX-512 has 32 registers of 64, AVX2 16 of 32."""
