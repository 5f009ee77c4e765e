"""Machine code called with numpy's arrays: one block of numbers, which its entry takes apart.

numba's own functions take an array in five parts and more. ctypes converts each argument on its
own: 45 of them, as of `bank`, took 10 microseconds; packed into one block they take 2.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import Any, Literal

Signature = tuple[tuple[str, int], ...]
"""dtype and number of axes of each argument; scalars have none."""

Kind = tuple[str, Signature]
"""The name of a loop, and what its arguments are."""

ENTRY = "convcli_entry"
"""Name of the function in an object."""

Part = Literal["null", "ptr", "i64", "float", "double"]

_SCALARS: dict[str, Part] = {"int64": "i64", "float32": "float", "float64": "double"}
# In the block each number takes 8 bytes.
_PACKED = {"null": "", "ptr": "Q", "i64": "q", "float": "f4x", "double": "d"}


def parameters(signature: Signature) -> list[Part]:
    """Return the parameters of numba's own functions for such arguments: arrays in parts.

    An array is passed as the owner of its memory and its Python object (neither is needed, so both
    are null), size, size of an item, data, shape, strides. Before them come places for a result and
    an exception, which are not among these.
    """
    kinds = list[Part]()
    for dtype, axes in signature:
        if axes:
            kinds.extend(("null", "null", "i64", "i64", "ptr"))
            kinds.extend("i64" for _ in range(2 * axes))
        else:
            kinds.append(_SCALARS[dtype])
    return kinds


def entry_for(function: str, types: list[str], signature: Signature) -> str:
    """Return LLVM's assembly of a function that calls numba's own with what a block holds.

    Parameters
    ----------
    function : str
        Name of numba's own function.
    types : list of str
        LLVM's types of its parameters, the two places first.
    signature : Signature
        What it is called with.

    Raises
    ------
    NotImplementedError
        If numba passes such arguments in another way.
    """
    kinds = parameters(signature)
    found = ["ptr" if kind.endswith("*") else kind for kind in types]
    if found != ["ptr", "ptr", *("ptr" if kind == "null" else kind for kind in kinds)]:
        raise NotImplementedError(f"numba passes {found}")
    # LLVM 15 and 16 know pointers by what they point to; later ones do not.
    pointer = "ptr" if types[0] == "ptr" else "i64*"
    lines, values, number = [], [], 0
    for place in range(2):
        lines.append(f"%place{place} = alloca i64")
        lines.append(f"%to{place} = bitcast {pointer} %place{place} to {types[place]}")
        values.append(f"{types[place]} %to{place}")
    for kind, kind_there in zip(kinds, types[2:], strict=True):
        if kind == "null":
            values.append(f"{kind_there} null")
            continue
        lines.append(f"%at{number} = getelementptr i64, {pointer} %block, i64 {number}")
        lines.append(f"%bits{number} = load i64, {pointer} %at{number}")
        source = f"i64 %bits{number}"
        if kind == "float":
            lines.append(f"%half{number} = trunc {source} to i32")
            source = f"i32 %half{number}"
        how = {"ptr": "inttoptr", "i64": "add", "float": "bitcast", "double": "bitcast"}[kind]
        end = ", 0" if kind == "i64" else f" to {kind_there}"
        lines.append(f"%value{number} = {how} {source}{end}")
        values.append(f"{kind_there} %value{number}")
        number += 1
    body = "\n  ".join(lines)
    return (
        f'declare i32 @"{function}"({", ".join(types)})\n'
        f"define i32 @{ENTRY}({pointer} %block) {{\n  {body}\n"
        f'  %status = call i32 @"{function}"({", ".join(values)})\n  ret i32 %status\n}}\n'
    )


def caller(address: int, signature: Signature) -> Callable[..., None]:
    """Return a function that calls the machine code at an address with numpy's arrays."""
    block = struct.Struct("=" + "".join(_PACKED[kind] for kind in parameters(signature)))
    machine = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p)(address)
    axes_of = [axes for _, axes in signature]

    def call(*arguments: Any) -> None:
        parts: list[Any] = []
        for argument, axes in zip(arguments, axes_of, strict=True):
            if axes:
                parts += (argument.size, argument.itemsize, _address(argument))
                parts += argument.shape
                parts += argument.strides
            else:
                parts.append(argument)
        status = machine(block.pack(*parts))
        # 0 means a value and -2 None; loops check nothing, so they raise nothing.
        if status not in (0, -2):
            raise RuntimeError(f"compiled loop failed with status {status}")

    return call


def _address(array: Any) -> int:
    flags = array.flags
    if not (flags.c_contiguous and array.dtype.isnative):
        raise ValueError("compiled loops take C-contiguous arrays of native byte order")
    if flags.writeable and array.size:  # a fifth of the time of what serves any array
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    address: int = array.__array_interface__["data"][0]
    return address
