"""Machine code of the inner loops: compiled by numba once, kept on disk, loaded without numba.

Importing numba and refreshing its target takes 230 to 300 ms of every run. The compiled code needs
neither, so it is kept in a private folder. On Linux and x86-64 it is mapped from there, in less
than a millisecond; elsewhere llvmlite links it, in 40. Code that does not match (processor,
versions, the loops' source, the owners of the folders, a checksum) is compiled again, and where
that does not work either, as on Windows, numba's own dispatcher runs.
"""

from __future__ import annotations

import itertools
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec, source_hash
from pathlib import Path
from threading import Lock
from typing import Any

from convcli import memory
from convcli.errors import ConvcliError
from convcli.loops.compiled import apart, mapping, shipped
from convcli.loops.compiled.calling import Kind, Signature, caller
from convcli.ownership import make_private, problem_of, problem_of_making

_log = logging.getLogger(__name__)

# Addresses and memory in bytes, measured with numba 0.68.1 on Linux: importing it, and compiling,
# with what glibc reserves for the heaps of two threads.
_IMPORT = 200_000_000, 65_000_000
_COMPILE = 400_000_000, 110_000_000

# It imports LLVM, and is imported when the first loop is compiled in this process.
_COMPILER = "convcli.loops.compiled.compiling"

_lock = Lock()


def _renew_lock() -> None:
    """Let a child not wait for a thread of its parent that was compiling when it was forked."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_renew_lock)

# What is shown while a loop is compiled, which gets a text.
_show: Callable[[str], AbstractContextManager[None]] | None = None

_loaded: set[tuple[str, str]] = set()
_missed: dict[tuple[str, str], float] = {}


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
    """Say whether a function is kept or shipped, by the names of files alone."""
    return any(kept.startswith(f"{name}-{dtype}-") for kept in _kept())


def miss(name: str, dtype: str, seconds: float) -> None:
    """Note that a function that is not compiled would have saved so much time."""
    _missed[name, dtype] = missed(name, dtype) + seconds


def missed(name: str, dtype: str) -> float:
    """Return the seconds that a function would have saved in this process so far."""
    return _missed.get((name, dtype), 0.0)


def is_any_kept() -> bool:
    """Say whether any function is kept or shipped."""
    return bool(_kept())


def _kept() -> frozenset[str]:
    """Return the functions that are kept: a name, a dtype and the processor of each."""
    base, versions = _base(), _versions()
    if base is None or versions is None:
        return shipped.kept()
    try:
        status = os.stat(base / "convcli")
    except OSError:
        return shipped.kept()
    return shipped.kept() | _listed(versions, base, (status.st_mtime_ns, status.st_ctime_ns))


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
    """Load a loop's machine code, kept or shipped, or compile it, or fall back on numba."""
    try:
        path = _path(name, signature)
        address = mapping.load(path)
        if address is None:
            ready = shipped.path_of(shipped.name_of(name, signature))
            address = mapping.load(ready, is_ours=True)
        # A plan takes a loop for kept by its name and its samples, and so it may not have asked.
        # What the first loop took serves the next ones.
        if address is None and _COMPILER not in sys.modules and lacks_memory():
            raise ConvcliError(f"numba {TOO_LITTLE}; use --method numpy or fft instead")
        if address is None and apart.is_wanted() and path is not None:
            _say_why_it_takes_long("")
            apart.make(name, signature)
            address = mapping.load(path)
        if address is None:
            _say_why_it_takes_long("" if path else _why_not_kept())
            text = f"compiling the loop {name} for {signature[0][0]}"
            with _show(text) if _show else nullcontext():
                code = _compiled(path, name, signature)
            address = mapping.load(path) or mapping.link(code)
        return caller(address, signature)
    except ConvcliError:
        raise
    except Exception as error:
        # llvmlite and numba may raise anything, and a new release may change what this code relies
        # on. numba's dispatcher compiles in this process and gives the same results.
        _log.debug("numba runs %s itself: %s", name, error)
        try:
            from convcli.loops.compiled import compiling

            home = import_module(compiling.HOMES.get(name, compiling.LOOPS))
            loop: Callable[..., None] = getattr(home, name)
            return loop
        except Exception as broken:
            raise ConvcliError(
                f"numba cannot be imported ({type(broken).__name__}: {broken}); "
                "use --method numpy or fft instead"
            ) from broken


def _compiled(path: Path | None, name: str, signature: Signature) -> bytes:
    """Compile a loop, keep it, and return its object code."""
    from convcli.loops.compiled import compiling

    code = compiling.object_code(name, signature)
    mapping.keep(path, code)
    return code


@contextmanager
def shown_while_compiling(show: Callable[[str], AbstractContextManager[None]]) -> Iterator[None]:
    """Let a context, which gets a text, last as long as each loop takes to be compiled."""
    global _show
    _show, before = show, _show
    try:
        yield
    finally:
        _show = before


def lacking(kinds: Iterable[Kind]) -> list[Kind]:
    """Return those kinds of loops of which nothing that was compiled here is kept, in order."""
    return [kind for kind in kinds if mapping.load(_path(*kind)) is None]


def compile_kept(kind: Kind) -> None:
    """Compile a loop and keep it."""
    _compiled(_path(*kind), *kind)


def place() -> Path:
    """Return the folder that machine code is kept in.

    Raises
    ------
    ConvcliError
        If nothing can be kept here, or compiled.
    """
    folder = _folder(make=True)
    if folder is None or not folder.is_dir() or not can_be_kept():
        raise ConvcliError(f"compiled loops cannot be kept: {_why_not_kept()}")
    if sys.platform == "win32":
        raise ConvcliError("this system keeps no compiled loops; they are compiled in every run")
    if lacks_memory():
        raise ConvcliError(f"numba {TOO_LITTLE}")
    return folder


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
    return not problem_of(folder) and mapping.is_private(folder.stat())


def _why_not_kept() -> str:
    """Return why compiled loops are not kept."""
    base = _base()
    with suppress(OSError):
        if base is not None:
            folder = base / "convcli"
            problem = problem_of(folder) if folder.exists() else problem_of_making(folder)
            return problem or "there is no folder to keep them in"
    return "there is no folder to keep them in"


@cache
def _versions() -> str | None:
    """Return a short hash of numba's and llvmlite's versions and of the sources of the code."""
    sources = shipped.sources()
    found = [find_spec(name) for name in ("numba", "llvmlite")]
    origins = [Path(spec.origin) for spec in found if spec and spec.origin]
    if len(origins) < len(found) or sources is None:
        return None
    with suppress(OSError):
        # These files hold the versions; importlib.metadata would take 20 ms.
        files = [path.with_name("_version.py") for path in origins]
        content = b"".join(path.read_bytes() for path in files)
        return source_hash(content + sources).hex()
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
        from convcli.loops.compiled import compiling

        kept = list(compiling.target())
    return f"{platform.machine()} {told} {kept}"


@cache
def _say_why_it_takes_long(why_not_kept: str) -> None:
    often = f"in every run: {why_not_kept}" if why_not_kept else "once"
    _log.info("compiling the loops for this processor (1 to 4 s, %s)", often)
