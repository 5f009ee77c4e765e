"""Two results for one file, and results that are inputs: found before any work."""

from __future__ import annotations

import os
from functools import cache
from itertools import pairwise

from convcli.errors import ConvcliError, shown
from convcli.files import places
from convcli.files.job import Job
from convcli.files.places import file_id, folded, real


def check_clashes(jobs: list[Job]) -> None:
    """Refuse two inputs for one output, also where only the disk takes their names for one."""
    numbers = [_number(real(job.target_name)) for job in jobs if job.target_name is not None]
    numbers.sort()
    twice = {number for number, other in pairwise(numbers) if number == other}
    probe = cache(places.ignores_case)
    first: dict[str, Job] = {}
    for job in jobs if twice else ():
        if job.target_name is None or job.source_name is None:
            continue
        place = real(job.target_name)
        if _number(place) not in twice:
            continue
        name = folded(place) if probe(os.path.dirname(place)) else place
        other = first.setdefault(name, job)
        if other is not job:
            assert other.source_name is not None
            assert other.target_name is not None
            if real(other.source_name) == real(job.source_name):
                raise ConvcliError(
                    f"{shown(other.source_name)} and {shown(job.source_name)} are one file; "
                    "name it once"
                )
            why = "" if real(other.target_name) == place else ", on a disk that ignores case"
            raise ConvcliError(
                f"{shown(other.source_name)} and {shown(job.source_name)} would both be written to "
                f"{shown(job.target_name)}{why}; filter them apart, or into folders of their own"
            )


def _number(place: str) -> int:
    """Return what stands for a name in 32 bytes, case and Unicode's forms apart.

    Two that have the same one are not yet the same.
    """
    return hash(folded(place)) % 2**60


def check_inputs_stay(jobs: list[Job]) -> None:
    """Refuse an output that is an input by whatever name."""
    found = (file_id(job.target_name) for job in jobs if job.target_name is not None)
    ids = {hash(one) for one in found if one is not None}
    for job in jobs if ids else ():
        here = None if job.source_name is None else file_id(job.source_name)
        if here is None or hash(here) not in ids:
            continue
        for other in jobs:
            source, target = other.source_name, other.target_name
            if source is None or target is None or file_id(target) != here:
                continue
            if file_id(source) == here:
                raise ConvcliError(
                    f"{shown(target)} is the input; to write over it, use --in-place without -o"
                )
            raise ConvcliError(
                f"{shown(target)} is an input, and {shown(source)} would be "
                "written over it; name fewer inputs, or another -o"
            )
