"""Free memory: what does not fit is refused before it is allocated."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from convcli.errors import ConvcliError

with suppress(ImportError):  # Windows has no such limits
    import resource

_MEMINFO = Path("/proc/meminfo")
_STATUS = Path("/proc/self/status")
_CGROUP = Path("/sys/fs/cgroup")  # where systemd and containers mount version 2
_OWN_GROUPS = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mountinfo")


class _Files(NamedTuple):
    """A version's files of a control group: limit, use, and the file cache that can be freed."""

    limit: str
    use: str
    cache: str


_VERSIONS = {
    "cgroup2": _Files("memory.max", "memory.current", "inactive_file"),
    "cgroup": _Files("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


# Asking what is free takes 0.1 ms, a tenth of what a thumbnail takes from file to file.
_ALWAYS_FREE = 1 << 20


def check(size: int) -> None:
    """Raise `ConvcliError` if fewer bytes than `size` are free."""
    free = available() if size > _ALWAYS_FREE else None
    if free is not None and size > free:
        raise ConvcliError(
            f"needs about {_shown(size)} of memory, but only {_shown(free)} is free; "
            "filter it in parts, with a smaller kernel, or on a machine with more memory"
        )


def available() -> int | None:
    """Return the bytes that this process may still allocate, or None if that is unknown.

    The smallest of four limits: memory and swap of the system, memory of the container, address
    space under ``ulimit -v``, and what `keep_below` was called with.
    """
    bounds = (_of_system(), _of_container(), address_space(), _of_process())
    known = [bound for bound in bounds if bound is not None]
    return max(0, min(known)) if known else None


_own: list[int] = []


def keep_below(most: int | None) -> None:
    """Count so many bytes as all that this process may hold; None takes that back."""
    _own[:] = [] if most is None else [most]


def _of_process() -> int | None:
    """Return what `keep_below` leaves."""
    return _own[0] - _fields(_STATUS).get("VmRSS", 0) if _own else None


def _of_system() -> int | None:
    known = _fields(_MEMINFO)
    if "MemAvailable" not in known:
        return None
    return known["MemAvailable"] + known.get("SwapFree", 0)


def _of_container() -> int | None:
    """Return what control groups leave: the least of the process's own group and those above it."""
    known = [_left_in(*each) for each in _groups(_OWN_GROUPS, _MOUNTS, _CGROUP)]
    return min((left for left in known if left is not None), default=None)


def _left_in(folder: Path, version: str) -> int | None:
    """Return what one group leaves; its file cache counts as free."""
    limit, use, cache = _VERSIONS[version]
    try:
        most = (folder / limit).read_text().strip()
        if most == "max":
            return None
        taken = int((folder / use).read_text())
        pairs = (folder / "memory.stat").read_text().split()
        return int(most) - taken + int(pairs[pairs.index(cache) + 1])
    except (OSError, ValueError):
        return None


@cache
def _groups(own: Path, mounts: Path, usual: Path) -> tuple[tuple[Path, str], ...]:
    """Return the folders of the control groups that hold this process, and their versions.

    Version 1 has a tree for memory, version 2 one for everything, and both may be mounted, at any
    place (cgroups(7)). Below a mount point, which may show a part of the tree alone, the process's
    group and all above it can have a limit.
    """
    found: dict[tuple[Path, str], None] = {(usual, "cgroup2"): None}
    paths = _paths_of(_lines(own))
    for line in _lines(mounts):
        # "31 23 0:28 /root /mount/point rw shared:1 - cgroup cgroup rw,memory" (proc(5))
        before, _, after = line.partition(" - ")
        fields, options = before.split(" "), after.split(" ")
        version = options[0]
        if version not in paths or len(fields) < 5:
            continue
        if version == "cgroup" and "memory" not in options[-1].split(","):
            continue
        root, point = (re.sub(r"\\(\d{3})", _unescaped, field) for field in fields[3:5])
        below = PurePosixPath(paths[version])
        # Otherwise the path is seen from elsewhere, as in a container of version 1.
        inside = below.relative_to(root) if below.is_relative_to(root) else PurePosixPath()
        folder = Path(point)
        found[folder, version] = None
        for part in inside.parts if ".." not in inside.parts else ():
            folder /= part
            found[folder, version] = None
    return tuple(found)


def _paths_of(lines: list[str]) -> dict[str, str]:
    """Return the process's group by version, from lines as "0::/path" and "4:memory:/path"."""
    paths = {}
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "memory" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _unescaped(code: re.Match[str]) -> str:
    return chr(int(code[1], 8))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, ValueError):
        return []


def address_space() -> int | None:
    """Return the address space that is left under ``ulimit -v``, or None without that limit."""
    if "resource" not in globals():
        return None
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    taken = _fields(_STATUS).get("VmSize")
    return None if taken is None else most - taken


def _fields(path: Path) -> dict[str, int]:
    """Return the values of lines such as ``MemAvailable:  2048 kB``, in bytes."""
    return {
        words[0].rstrip(":"): int(words[1]) * 1024
        for words in map(str.split, _lines(path))
        if len(words) == 3 and words[2] == "kB"
    }


def _shown(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 5e7 else f"{size / 1e6:.1f} MB"


def bound(asked: int | None) -> float:
    """Return the bytes that one run may hold: what was asked for, or half of what is free."""
    if asked is not None:
        return asked
    free = available()
    return math.inf if free is None else free / 2


# What a process takes on beside what is counted: stacks and heaps of threads, and the parts of
# packages that are used for the first time. 10 MB were measured, with zarr.
_BESIDE = 16 << 20


def held() -> int:
    """Return the bytes that this process holds beside images, 0 where that is unknown."""
    known = _fields(_STATUS).get("VmRSS")
    return 0 if known is None else known + _BESIDE
