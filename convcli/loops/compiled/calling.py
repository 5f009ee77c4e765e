"""Machine code called with numpy's arrays: how numba's own functions take their arguments."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

Signature = tuple[tuple[str, int], ...]
"""dtype and number of axes of each argument; scalars have none."""

Kind = tuple[str, Signature]
"""The name of a loop, and what its arguments are."""

ENTRY = "convcli_entry"
"""Name of the function in an object."""

_C_TYPES = {
    "ptr": ctypes.c_void_p,
    "i64": ctypes.c_int64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}
_SCALARS = {"int64": "i64", "float32": "float", "float64": "double"}


def parameters(signature: Signature) -> list[tuple[str, Any]]:
    """Return the parameters of numba's own functions for such arguments: arrays in parts.

    The first two are where to put a result and an exception. An array is passed as the owner of its
    memory and its Python object (neither is needed, so both are 0), size, size of an item,
    data, shape, strides.
    """
    kinds = ["ptr", "ptr"]
    for dtype, axes in signature:
        if axes:
            kinds += ["ptr", "ptr", "i64", "i64", "ptr", *["i64"] * (2 * axes)]
        else:
            kinds.append(_SCALARS[dtype])
    return [(kind, _C_TYPES[kind]) for kind in kinds]


def caller(address: int, signature: Signature) -> Callable[..., None]:
    """Return a function that calls the machine code at an address with numpy's arrays."""
    types = [c_type for _, c_type in parameters(signature)]
    machine = ctypes.CFUNCTYPE(ctypes.c_int32, *types)(address)

    def call(*arguments: Any) -> None:
        parts: list[Any] = []
        for argument, (_, axes) in zip(arguments, signature, strict=True):
            if axes:
                if not (argument.flags.c_contiguous and argument.dtype.isnative):
                    raise ValueError("compiled loops take C-contiguous arrays of native byte order")
                data = argument.__array_interface__["data"][0]
                parts += [None, None, argument.size, argument.itemsize, data]
                parts += [*argument.shape, *argument.strides]
            else:
                parts.append(argument)
        result, error = ctypes.c_void_p(), ctypes.c_void_p()
        status = machine(ctypes.addressof(result), ctypes.addressof(error), *parts)
        # 0 means a value and -2 None; loops check nothing, so they raise nothing.
        if status not in (0, -2):
            raise RuntimeError(f"compiled loop failed with status {status}")

    return call
