"""The kinds of every compiled loop: for which dtypes of its arguments the commands need it.

A kind is written as three letters: the dtypes of samples, sums and results.
"""

from __future__ import annotations

from convcli.loops.compiled.calling import Kind, Signature

_DTYPES = {"b": "uint8", "h": "uint16", "f": "float32", "d": "float64"}

# The arguments of each loop: samples s, sums a, results r, or integers i, and how many axes.
_ARGUMENTS = {
    "correlate": "s1 i0 i1 a1 a0 a1 r2",
    "dense": "s1 i0 i1 a1 i0 a0 a1 i0 r2",
    "separable": "s1 i0 a1 i1 a1 i0 i1 a0 a1 i0 a1 i0 i0 a1 r2",
    "magnitude": "s2 i0 a2 a2 a0 a2 r2",
    "magnitude_of_any_size": "s2 i0 a2 a2 a0 a2 r2",
    "magnitude_wide": "s1 i0 i1 a2 a2 i1 a1 a1 a0 a2 a2 r2",
    "magnitude_wide_of_any_size": "s1 i0 i1 a2 a2 i1 a1 a1 a0 a2 a2 r2",
    "thin": "s1 i0 i1 a2 i0 i0 i0 a2",
    "blur_rows": "a2 i0 i0 i1 a1 i1 a2 a1 i0 a1 a2 i0",
    "interpolate": "a1 i0 i1 i0 a3 i0 a2 r2",
    "parted": "s1 a1 a1 i1",
    "divided": "a1 a1 a0 i1",
    "bank": "a1 i1 a1 a1 a1 a1",
    "lay_out": "a1 i1 i1 i2 a1 a1",
    "winograd": "a1 i1 a1 a1 a1 a1",
    "winograd_kernels": "a1 i0 i0 i0 i0 a1 a1 i1 a1",
}

# Samples of 8 and 16 bits; and floats, which also lie between the stages of a chain, whose last
# one may round. Sums of 16 bits and of --exact are float64.
_OF_INTEGERS = "bfb bff bfd bdb bdf bdd hdh hdf hdd"
_OF_FLOATS = "fff ffd ffb fdf fdd fdb ddd ddf ddb ddh"

_KINDS = {
    "correlate": f"{_OF_INTEGERS} {_OF_FLOATS}",
    "dense": f"{_OF_INTEGERS} {_OF_FLOATS}",
    "separable": f"{_OF_INTEGERS} {_OF_FLOATS}",
    "magnitude": f"{_OF_INTEGERS} fff ddd",
    "magnitude_of_any_size": _OF_FLOATS,
    "magnitude_wide": f"{_OF_INTEGERS} fff ddd",
    "magnitude_wide_of_any_size": _OF_FLOATS,
    "thin": "bfb fff",
    "blur_rows": "bfb",
    "interpolate": "bfb fff",
    "parted": "fff fdd ddd",
    "divided": "fff ddd",
    **dict.fromkeys(("bank", "lay_out", "winograd", "winograd_kernels"), "fff ddd"),
}

# What one filter over an image needs, in light or with an alpha as well: of 8 bits, also in
# float64 (--exact, --depth 16, --canny), of 16 bits, with luminance and light in float64, and of
# float32. Each takes about a second of the time that building a wheel takes.
_SHIPPED = {
    "correlate": "bfb bff fff bdb bdf bdd hdh hdf ddd",
    "dense": "bfb bff fff bdb bdd hdh ddd",
    "separable": "bfb bff fff bdb bdf bdd hdh hdd ddd",
    "magnitude": "bfb fff bdd hdh ddd",
    "magnitude_of_any_size": "fff",
    "magnitude_wide": "bfb",
    **dict.fromkeys(("thin", "blur_rows", "interpolate"), "bfb"),
}


def _listed(table: dict[str, str]) -> list[Kind]:
    return [
        (name, _signature(_ARGUMENTS[name], dtypes))
        for name, every in table.items()
        for dtypes in every.split()
    ]


def _signature(arguments: str, dtypes: str) -> Signature:
    named = dict(zip("sar", (_DTYPES[letter] for letter in dtypes), strict=True), i="int64")
    return tuple((named[argument[0]], int(argument[1])) for argument in arguments.split())


EVERY = _listed(_KINDS)
"""All that the commands may need."""

SHIPPED = _listed(_SHIPPED)
"""What a wheel brings, compiled: the common filters of images."""
