"""Loops compiled by numba for one kind of arguments, to object code that needs nothing of numba."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import numpy as np

from convcli.loops.compiled.calling import Signature, entry_for

LOOPS = "convcli.loops.compiled.inner_loops"
_BANKS = "convcli.loops.compiled.bank_loops"
_WEIGHTS = "convcli.loops.compiled.bank_weights"
_WINOGRAD = "convcli.loops.compiled.winograd_loops"
_MISSING = "convcli.loops.compiled.missing_loops"
_ROWS = "convcli.loops.compiled.row_loops"
HOMES = {
    "dense": _ROWS,
    "separable": _ROWS,
    "parted": _MISSING,
    "divided": _MISSING,
    "bank": _BANKS,
    "lay_out": _WEIGHTS,
    "winograd": _WINOGRAD,
    "winograd_kernels": _WINOGRAD,
}

# numba 0.61 calls the C library for roots; llvmlite finds it there, a mapped image cannot.
_LIBM = {"sqrt", "sqrtf"}


def object_code(name: str, signature: Signature) -> bytes:
    """Compile a loop with numba for arguments of this kind, and return its object code."""
    import llvmlite.binding as llvm
    from numba import from_dtype, njit, types

    if sys.platform == "win32":
        # A symbol that LLVM's linker misses there, such as the probe of a large stack frame, ends
        # the process, and this is untested.
        raise NotImplementedError("its code is not linked on Windows")
    loops = import_module(HOMES.get(name, LOOPS))
    loop = njit(**loops.HOW, **loops.NO_WRAPPERS)(getattr(loops, name).py_func)
    arguments = [
        types.Array(from_dtype(np.dtype(dtype)), axes, "C") if axes else from_dtype(np.dtype(dtype))
        for dtype, axes in signature
    ]
    loop.compile(types.void(*arguments))
    result = loop.overloads[tuple(arguments)]
    module = llvm.parse_assembly(result.library.get_llvm_str())
    entry = module.get_function(result.fndesc.llvm_func_name)
    outside = {f.name for f in module.functions if f.is_declaration and "llvm." not in f.name}
    if outside - _LIBM:
        raise NotImplementedError(f"the code of {name} calls {outside}")
    types_of = [str(argument.type) for argument in entry.arguments]
    module.link_in(llvm.parse_assembly(entry_for(entry.name, types_of, signature)))
    code: bytes = target_machine().emit_object(module)
    return code


def target_machine() -> Any:
    """Return LLVM's back end for this processor, or for the one that is set for numba."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = target()
    # Position-independent, so that a mapping far from the C library's still links.
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="small"
    )


def target() -> tuple[str, str]:
    """Return the processor's name and features in LLVM's words, or as set for numba."""
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES") or llvm.get_host_cpu_features().flatten()
    return name, features
