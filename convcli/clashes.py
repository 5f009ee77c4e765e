"""Two results for one file, and results that are inputs: found before any work."""

from __future__ import annotations

import os
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from convcli import places
from convcli.errors import ConvcliError, shown
from convcli.places import file_id, folded, real

if TYPE_CHECKING:
    from convcli.jobs import Job


def check_clashes(jobs: list[Job]) -> None:
    """Refuse two inputs for one output, also where only the disk takes their names for one."""
    numbers = [_number(real(job.written)) for job in jobs if job.written is not None]
    numbers.sort()
    twice = {number for number, other in pairwise(numbers) if number == other}
    probe = cache(places.ignores_case)
    first: dict[str, Job] = {}
    for job in jobs if twice else ():
        if job.written is None or job.read is None:
            continue
        place = real(job.written)
        if _number(place) not in twice:
            continue
        name = folded(place) if probe(os.path.dirname(place)) else place
        other = first.setdefault(name, job)
        if other is not job:
            assert other.read is not None
            assert other.written is not None
            why = "" if real(other.written) == place else ", on a disk that ignores case"
            raise ConvcliError(
                f"{shown(other.read)} and {shown(job.read)} would both be written to "
                f"{shown(job.written)}{why}; filter them apart, or into folders of their own"
            )


def _number(place: str) -> int:
    """Return what stands for a name in 32 bytes, case and Unicode's forms apart.

    Two that have the same one are not yet the same.
    """
    return hash(folded(place)) % 2**60


def check_inputs_stay(jobs: list[Job]) -> None:
    """Refuse an output that is an input by whatever name."""
    found = (file_id(job.written) for job in jobs if job.written is not None)
    ids = {hash(one) for one in found if one is not None}
    for job in jobs if ids else ():
        here = None if job.read is None else file_id(job.read)
        if here is None or hash(here) not in ids:
            continue
        for other in jobs:
            if other.written is None or other.read is None or file_id(other.written) != here:
                continue
            if file_id(other.read) == here:
                raise ConvcliError(
                    f"{shown(other.written)} is the input; "
                    "to write over it, use --in-place without -o"
                )
            raise ConvcliError(
                f"{shown(other.written)} is an input, and {shown(other.read)} would be "
                "written over it; name fewer inputs, or another -o"
            )
