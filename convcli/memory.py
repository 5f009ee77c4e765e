"""Free memory: what does not fit is refused before it is allocated."""

from __future__ import annotations

import resource
from pathlib import Path

from convcli.errors import ConvcliError

_MEMINFO = Path("/proc/meminfo")
_STATUS = Path("/proc/self/status")
_CGROUP = Path("/sys/fs/cgroup")


def check(size: int) -> None:
    """Raise `ConvcliError` if fewer bytes than `size` are free."""
    free = available()
    if free is not None and size > free:
        raise ConvcliError(
            f"needs about {_shown(size)} of memory, but only {_shown(free)} is free; "
            "filter it in parts, with a smaller kernel, or on a machine with more memory"
        )


def available() -> int | None:
    """Return the bytes that this process may still allocate, or None if that is unknown.

    The smallest of three limits: memory and swap of the system, memory of the container, and
    address space under ``ulimit -v``.
    """
    bounds = (_of_system(), _of_container(), _of_process())
    known = [bound for bound in bounds if bound is not None]
    return max(0, min(known)) if known else None


def address_space() -> int | None:
    """Return the address space that is left under ``ulimit -v``, or None without that limit."""
    return _of_process()


def _of_system() -> int | None:
    known = _fields(_MEMINFO)
    if "MemAvailable" not in known:
        return None
    return known["MemAvailable"] + known.get("SwapFree", 0)


def _of_container() -> int | None:
    """Return what control groups (version 2) leave; their file cache counts as free."""
    try:
        most = (_CGROUP / "memory.max").read_text().strip()
        if most == "max":
            return None
        taken = int((_CGROUP / "memory.current").read_text())
        pairs = (_CGROUP / "memory.stat").read_text().split()
        return int(most) - taken + int(pairs[pairs.index("inactive_file") + 1])
    except (OSError, ValueError):
        return None


def _of_process() -> int | None:
    """Return the address space that is left under the limit of the process."""
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    taken = _fields(_STATUS).get("VmSize")
    return None if taken is None else most - taken


def _fields(path: Path) -> dict[str, int]:
    """Return the values of lines such as ``MemAvailable:  2048 kB``, in bytes."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {
        words[0].rstrip(":"): int(words[1]) * 1024
        for words in lines
        if len(words) == 3 and words[2] == "kB"
    }


def _shown(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 5e7 else f"{size / 1e6:.1f} MB"
