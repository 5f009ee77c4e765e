"""Machine code of the inner loops: compiled by numba once, kept on disk, loaded without numba.

Importing numba and refreshing its target takes 230 to 300 ms of every run. The compiled code needs
neither, so it is kept in a private folder. On Linux and x86-64 it is mapped from there, in less
than a millisecond; elsewhere llvmlite links it, in 40. Code that does not match (processor,
versions, the loops' source, the owners of the folders, a checksum) is compiled again, and where
that does not work either, as on Windows, numba's own dispatcher runs.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import mmap
import os
import platform
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec, source_hash
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from convcli import memory
from convcli.errors import ConvcliError
from convcli.files.writing import new_file
from convcli.loops.compiled import apart
from convcli.ownership import make_private, problem_of, problem_of_making

Signature = tuple[tuple[str, int], ...]
"""dtype and number of axes of each argument; scalars have none."""

_LOOPS = "convcli.loops.compiled.inner_loops"
_BANKS = "convcli.loops.compiled.bank_loops"
_WEIGHTS = "convcli.loops.compiled.bank_weights"
_WINOGRAD = "convcli.loops.compiled.winograd_loops"
_MISSING = "convcli.loops.compiled.missing_loops"
_HOMES = {
    "parted": _MISSING,
    "divided": _MISSING,
    "bank": _BANKS,
    "lay_out": _WEIGHTS,
    "winograd": _WINOGRAD,
    "winograd_kernels": _WINOGRAD,
}

# The end of a file: length of the image and offset of the function in it, both 0 where there is no
# image, and a checksum of everything before. The hash of sources, of 64 bits, finds damage and
# versions as well as those of hashlib, which would load OpenSSL first: 2.7 ms.
_END = struct.Struct("<QQ8s")

_log = logging.getLogger(__name__)

# numba 0.61 calls the C library for roots; llvmlite finds it there, a mapped image cannot.
_LIBM = {"sqrt", "sqrtf"}

# Addresses and memory in bytes, measured with numba 0.68.1 on Linux: importing it, and compiling,
# with what glibc reserves for the heaps of two threads.
_IMPORT = 200_000_000, 65_000_000
_COMPILE = 400_000_000, 110_000_000

_ENTRY = "convcli_entry"
_lock = Lock()


def _renew_lock() -> None:
    """Let a child not wait for a thread of its parent that was compiling when it was forked."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_lock)

_loaded: set[tuple[str, str]] = set()
_missed: dict[tuple[str, str], float] = {}
# The owners of the machine code that is in use: mapped files, and llvmlite's engines.
_owners: list[Any] = []


def function(name: str) -> Callable[..., None]:
    """Return a function of `inner_loops` that is compiled when it is first called.

    Its arguments are C-contiguous arrays, numpy scalars and Python integers. It lets go of the
    interpreter's lock while it runs.
    """
    ready: dict[tuple[Any, ...], Callable[..., None]] = {}

    def call(*arguments: Any) -> None:
        # Names of dtypes take 6 microseconds each, so they are looked at for the first call alone.
        kinds = tuple(int if isinstance(a, int) else (a.dtype, a.ndim) for a in arguments)
        compiled = ready.get(kinds)
        if compiled is None:
            signature = tuple(
                ("int64", 0) if isinstance(a, int) else (a.dtype.name, a.ndim) for a in arguments
            )
            with _lock:
                compiled = ready.get(kinds) or _prepared(name, signature)
                ready[kinds] = compiled
                _loaded.add((name, signature[0][0]))
        compiled(*arguments)

    return call


def is_loaded(name: str, dtype: str) -> bool:
    """Say whether this process has a function already, for samples of a dtype."""
    return (name, dtype) in _loaded


def is_kept(name: str, dtype: str) -> bool:
    """Say whether an earlier run has kept a function, by the names of files alone."""
    return any(kept.startswith(f"{name}-{dtype}-") for kept in _kept())


def miss(name: str, dtype: str, seconds: float) -> None:
    """Note that a function that is not compiled would have saved so much time."""
    _missed[name, dtype] = missed(name, dtype) + seconds


def missed(name: str, dtype: str) -> float:
    """Return the seconds that a function would have saved in this process so far."""
    return _missed.get((name, dtype), 0.0)


def is_any_kept() -> bool:
    """Say whether an earlier run has kept any function."""
    return bool(_kept())


def _kept() -> frozenset[str]:
    """Return the functions that are kept: a name, a dtype and the processor of each."""
    base, versions = _base(), _versions()
    if base is None or versions is None:
        return frozenset()
    try:
        status = os.stat(base / "convcli")
    except OSError:
        return frozenset()
    return _listed(versions, base, (status.st_mtime_ns, status.st_ctime_ns))


@lru_cache(maxsize=1)
def _listed(versions: str, _base: Path, _changed: tuple[int, int]) -> frozenset[str]:
    """List what is kept. Every plan asks, and looking at a folder that stays takes 0.3 ms."""
    folder = _folder()
    if folder is None:
        return frozenset()
    beginning = f"{versions}-"
    with suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
        return frozenset(n.removeprefix(beginning) for n in names if n.startswith(beginning))
    return frozenset()


def can_be_kept() -> bool:
    """Say whether there is a place to keep machine code; nothing is made to find that out."""
    base = _base()
    if base is None or _versions() is None:
        return False
    folder = base / "convcli"
    try:
        if folder.exists():
            return os.access(folder, os.W_OK) and _is_ours_alone(folder)
        there = next(each for each in folder.parents if each.exists())
        return there.is_dir() and os.access(there, os.W_OK) and not problem_of_making(folder)
    except OSError:
        return False


def lacks_memory() -> bool:
    """Say whether there is too little memory for compiling: LLVM would abort."""
    parts = (_COMPILE,) if "numba" in sys.modules else (_IMPORT, _COMPILE)
    addresses, size = map(sum, zip(*parts, strict=True))
    space, free = memory.address_space(), memory.available()
    return (space is not None and space < addresses) or (free is not None and free < size)


TOO_LITTLE = (
    f"needs about {sum(size for size, _ in (_IMPORT, _COMPILE)) / 1e6:.0f} MB of memory to compile "
    "its loops, more than is free"
)


def _prepared(name: str, signature: Signature) -> Callable[..., None]:
    """Load a loop's machine code, or compile it, or fall back on numba."""
    try:
        path = _path(name, signature)
        address = _load(path)
        if address is None and apart.is_wanted() and path is not None:
            _say_why_it_takes_long("" if _folder(make=True) else _why_not_kept())
            apart.make(name, signature)
            address = _load(path)
        if address is None:
            code = _compile(name, signature)
            _keep(path, code)
            address = _load(path) or _link(code)
        return _caller(address, signature)
    except Exception as error:
        # llvmlite and numba may raise anything, and a new release may change what this code relies
        # on. numba's dispatcher compiles in this process and gives the same results.
        _log.debug("numba runs %s itself: %s", name, error)
        try:
            return getattr(import_module(_HOMES.get(name, _LOOPS)), name)  # type: ignore[no-any-return]
        except Exception as broken:
            raise ConvcliError(
                f"numba cannot be imported ({type(broken).__name__}: {broken}); "
                "use --method numpy or fft instead"
            ) from broken


def make(name: str, signature: Signature) -> None:
    """Compile a function, and keep it."""
    _keep(_path(name, signature), _compile(name, signature))


def _base() -> Path | None:
    """Return the user's folder for caches."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # one that is not must be ignored (XDG Base Directory Specification)
        return base
    try:
        return Path.home() / ".cache"
    except RuntimeError:  # there is no home
        return None


def _folder(make: bool = False) -> Path | None:
    """Return the folder that objects are kept in, if no other user can change what is there."""
    base = _base()
    if base is None:
        return None
    folder = base / "convcli"
    try:
        if make:
            make_private(folder)
        return folder if _is_ours_alone(folder) else None
    except OSError:  # it is not there, or cannot or may not be made
        return None


def _is_ours_alone(folder: Path) -> bool:
    return not problem_of(folder) and _is_private(folder.stat())


def _why_not_kept() -> str:
    """Return why compiled loops are not kept."""
    base = _base()
    with suppress(OSError):
        if base is not None:
            folder = base / "convcli"
            problem = problem_of(folder) if folder.exists() else problem_of_making(folder)
            return problem or "there is no folder to keep them in"
    return "there is no folder to keep them in"


def _is_private(status: os.stat_result) -> bool:
    # Code from here is executed. Root's may be, as the program itself, which is often root's.
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@cache
def _versions() -> str | None:
    """Return a short hash of numba's and llvmlite's versions and of the sources of the code."""
    others = "numba", "llvmlite", "convcli.loops.layout", "convcli.pixels.rounding"
    found = [find_spec(name) for name in others]
    origins = [Path(spec.origin) for spec in found if spec and spec.origin]
    if len(origins) < len(found):
        return None
    with suppress(OSError):
        # These files hold the versions; importlib.metadata would take 20 ms.
        files = [path.with_name("_version.py") for path in origins[:2]] + origins[2:]
        # Finding each module of this folder by its name would take 1 ms.
        files += sorted(Path(__file__).parent.glob("*.py"))
        content = b"".join(path.read_bytes() for path in files)
        return source_hash(content).hex()
    return None  # they are not files, as in a zip


def _path(name: str, signature: Signature) -> Path | None:
    """Return where a loop's code is kept; the name depends on all that the code depends on."""
    folder, versions = _folder(make=True), _versions()
    if folder is None or versions is None:
        return None
    machine = source_hash(f"{_processor()} {signature}".encode()).hex()
    return folder / f"{versions}-{name}-{signature[0][0]}-{machine}"


@cache
def _processor() -> str:
    """Return what the code depends on: the processor, and numba's settings for it."""
    told = [os.environ.get(f"NUMBA_CPU_{word}") for word in ("NAME", "FEATURES")]
    if all(told):  # the code is for any such processor, as in a container
        return f"{platform.machine()} {told}"
    try:
        # The first processor's lines alone: a machine may have 200 of them.
        with open("/proc/cpuinfo") as file:
            lines = itertools.takewhile(str.strip, file)
            kept = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    except OSError:  # not Linux
        kept = list(target())
    return f"{platform.machine()} {told} {kept}"


def target() -> tuple[str, str]:
    """Return the processor's name and features in LLVM's words, or as set for numba."""
    import llvmlite.binding as llvm

    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    features = os.environ.get("NUMBA_CPU_FEATURES") or llvm.get_host_cpu_features().flatten()
    return name, features


def _load(path: Path | None) -> int | None:
    """Map a file, if it is complete and ours, and return the address of its function."""
    if path is None:
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        content = file.read() if _is_private(os.fstat(descriptor)) else b""
        if len(content) < _END.size:
            return None
        length, offset, checksum = _END.unpack_from(content, len(content) - _END.size)
        if _checksum(content[: -_END.size], length, offset) != checksum:
            return None
        if length:
            with suppress(OSError):  # a file system may forbid it
                readable = mmap.PROT_READ | mmap.PROT_EXEC
                memory = mmap.mmap(descriptor, length, mmap.MAP_PRIVATE, readable)
                image = np.frombuffer(memory, np.uint8)
                _owners.append(image)
                address: int = image.__array_interface__["data"][0] + offset
                return address
    return _link(content[length : -_END.size])


def _checksum(content: bytes, length: int, offset: int) -> bytes:
    return source_hash(content + _END.pack(length, offset, b""))


def _keep(path: Path | None, code: bytes) -> None:
    """Write an object, preceded by an image that can be mapped, where one can be made."""
    if path is None:
        return
    image, offset = b"", 0
    if sys.platform == "linux":
        from convcli.loops.compiled.elf import laid_out

        with suppress(NotImplementedError):
            image, offset = laid_out(code, _ENTRY)
    content = image + code
    end = _END.pack(len(image), offset, _checksum(content, len(image), offset))
    with suppress(OSError):
        path.unlink(missing_ok=True)  # its permissions, which may be what is wrong, would be kept
        with new_file(path, mode=0o600) as file:
            file.write(content + end)


def _compile(name: str, signature: Signature) -> bytes:
    """Compile a loop with numba for arguments of this kind, and return its object code."""
    import llvmlite.binding as llvm
    from numba import from_dtype, njit, types

    _say_why_it_takes_long("" if _folder(make=True) else _why_not_kept())
    if sys.platform == "win32":
        # A symbol that LLVM's linker misses there, such as the probe of a large stack frame, ends
        # the process, and this is untested.
        raise NotImplementedError("its code is not linked on Windows")
    loops = import_module(_HOMES.get(name, _LOOPS))
    loop = njit(**loops.HOW, **loops.NO_WRAPPERS)(getattr(loops, name).py_func)
    arguments = [
        types.Array(from_dtype(np.dtype(dtype)), axes, "C") if axes else from_dtype(np.dtype(dtype))
        for dtype, axes in signature
    ]
    loop.compile(types.void(*arguments))
    result = loop.overloads[tuple(arguments)]
    module = llvm.parse_assembly(result.library.get_llvm_str())
    entry = module.get_function(result.fndesc.llvm_func_name)
    found = ["ptr" if str(a.type).endswith("*") else str(a.type) for a in entry.arguments]
    if found != [kind for kind, _ in _parameters(signature)]:
        raise NotImplementedError(f"numba passes {found}")
    outside = {f.name for f in module.functions if f.is_declaration and "llvm." not in f.name}
    if outside - _LIBM:
        raise NotImplementedError(f"the code of {name} calls {outside}")
    entry.name = _ENTRY
    return _target_machine().emit_object(module)  # type: ignore[no-any-return]


@cache
def _say_why_it_takes_long(why_not_kept: str) -> None:
    often = f"in every run: {why_not_kept}" if why_not_kept else "once"
    _log.info("compiling the loops for this processor (1 to 4 s, %s)", often)


def _target_machine() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = target()
    # Position-independent, so that a mapping far from the C library's still links.
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=name, features=features, opt=3, reloc="pic", codemodel="small"
    )


def _link(code: bytes) -> int:
    """Map an object into this process and return the address of its function."""
    import llvmlite.binding as llvm

    machine = _target_machine()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _owners.append(engine)
    return int(engine.get_function_address(_ENTRY))


_C_TYPES = {
    "ptr": ctypes.c_void_p,
    "i64": ctypes.c_int64,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}
_SCALARS = {"int64": "i64", "float32": "float", "float64": "double"}


def _parameters(signature: Signature) -> list[tuple[str, Any]]:
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


def _caller(address: int, signature: Signature) -> Callable[..., None]:
    """Return a function that calls the machine code at an address with numpy's arrays."""
    types = [c_type for _, c_type in _parameters(signature)]
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
