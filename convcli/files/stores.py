"""Folders that are images: zarr arrays and groups."""

from __future__ import annotations

import os

# The metadata of version 3, and those of arrays and groups of version 2.
METADATA = ("zarr.json", ".zarray", ".zgroup")

HIDDEN = ".convcli-"
"""The beginning of names of what is not finished."""


def is_store(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder is a zarr array or group."""
    return any(os.path.isfile(os.path.join(path, name)) for name in METADATA)
