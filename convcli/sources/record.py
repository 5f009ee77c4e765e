"""The record of a zarr array that is being written: what of each plane is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from convcli.sources.contract import Region, Size

Axes = tuple[int, ...]

# Regions that are done come many a second, and what is not recorded is only done again.
_SECONDS = 1.0


class Record:
    """How many rows of each plane of each array are written, and which regions below them."""

    def __init__(self, mark: str, kept: bytes, keep: Callable[[bytes], None]) -> None:
        self._keep, self._mark = keep, mark
        self._rows: dict[str, int] = {}
        self._beside: dict[str, dict[str, Any]] = {}
        self._kept_at = -_SECONDS
        with suppress(ValueError, KeyError, TypeError):
            known = json.loads(kept)
            if known["mark"] == mark:
                self._rows, self._beside = known["rows"], known.get("beside", {})

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written."""
        return not (self._rows or self._beside)

    def of(self, array: str, place: Axes) -> int:
        """Return the rows of a plane that are written, from the top down."""
        return self._rows.get(f"{array}/{place}", 0)

    def add(self, array: str, place: Axes, rows: int) -> None:
        """Record that so many rows of a plane are written."""
        self._rows[f"{array}/{place}"] = rows
        self.keep()

    def keep(self) -> None:
        """Let it last."""
        self._keep(self.content)
        self._kept_at = time.monotonic()

    @property
    def content(self) -> bytes:
        """What is kept."""
        known = {"mark": self._mark, "rows": self._rows, "beside": self._beside}
        return json.dumps(known).encode()

    def missing(self, array: str, place: Axes, shape: Size, size: Size) -> list[Region]:
        """Return the regions of a plane, which are of one size, that are not written yet."""
        name = f"{array}/{place}"
        known = self._beside.get(name)
        if known is None or known["size"] != [*size]:
            self._beside[name] = known = {"size": [*size], "at": []}
        there = {tuple(at) for at in known["at"]}
        return [
            ((top, min(top + size[0], shape[0])), (left, min(left + size[1], shape[1])))
            for top in range(0, shape[0], size[0])
            for left in range(0, shape[1], size[1])
            if min(top + size[0], shape[0]) > self.of(array, place) and (top, left) not in there
        ]

    def add_region(self, array: str, place: Axes, region: Region, shape: Size) -> None:
        """Record that a region of a plane is written; it lasts after a second."""
        name = f"{array}/{place}"
        known = self._beside[name]
        known["at"].append([region[0][0], region[1][0]])
        down, across = known["size"]
        top = self._rows.get(name, 0)
        top -= top % down  # so far were rows written that are no whole regions
        in_a_row = -(-shape[1] // across)
        while top < shape[0] and sum(at[0] == top for at in known["at"]) == in_a_row:
            known["at"] = [at for at in known["at"] if at[0] != top]
            top = min(top + down, shape[0])
            self._rows[name] = max(top, self._rows.get(name, 0))
        if top >= shape[0]:
            del self._beside[name]
        if top >= shape[0] or time.monotonic() - self._kept_at > _SECONDS:
            self.keep()
