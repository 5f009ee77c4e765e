"""Zarr arrays of versions 2 and 3, and OME-Zarr images: planes of all axes before y and x."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from convcli.errors import ConvcliError, reason_of
from convcli.image.deep import needs
from convcli.image.picture import mode_of, suffix_of
from convcli.sources.contract import Given, Stored, check_samples
from convcli.sources.npy import native
from convcli.sources.ome import axes_of, paths_of
from convcli.sources.remote import file_system, reported
from convcli.types import Pixels

# Chunks of arrays that are made of other formats.
CHUNK = 512

# Several chunks of a row are read at a time, up to this many bytes: each call takes 0.5 ms.
_READ = 1 << 19

Place = tuple[int, ...]


@contextmanager
def opened(path: Path | str, _is_grey: bool = False) -> Iterator[Given]:
    """Open an array, or the first level of an OME-Zarr image."""
    zarr = package()
    metadata = partial(_metadata_at, path)
    if isinstance(path, str):
        file_system(path)  # which names what is not installed
    with reported("cannot be read"):
        try:
            found: Any = zarr.open(str(path), mode="r")
        except FileNotFoundError:
            raise ConvcliError("does not exist, or is not a zarr array or group") from None
    if isinstance(found, zarr.Array):
        array, levels = found, []
        carried: dict[str, Any] = {"group": False}
    else:
        paths = paths_of(found)
        with reported(f"cannot be read: its array {paths[0]!r}"):
            arrays = [found[each] for each in paths]
        if not all(isinstance(each, zarr.Array) for each in arrays):
            raise ConvcliError("is a zarr group whose multiscales metadata name no arrays")
        array, *levels = arrays
        carried = {"group": True, "attributes": dict(found.attrs), "paths": paths}
    axes = axes_of(array, carried.get("attributes", {}))
    if array.ndim < 2 or (axes[-2:] != ["y", "x"] and axes[-3:] != ["y", "x", "c"]):
        raise ConvcliError(
            f"is a zarr array of axes {', '.join(map(str, axes)) or 'none'}; an image ends with "
            "y and x, or with y, x and c"
        )
    inner = 3 if axes[-1] == "c" else 2
    places = array.shape[: array.ndim - inner]
    height, width = array.shape[len(places) : len(places) + 2]
    shape = (height, width, array.shape[-1] if inner == 3 else 1)
    check_samples(array.dtype, array.shape)
    notes = [] if not carried["group"] else _dropped(found, carried["paths"])
    yield Given(
        (plane_of(array, place, shape) for place in np.ndindex(*places)),
        math.prod(places),
        _mode(shape[2], array.dtype.newbyteorder("=")),
        "ZARR",
        carried | {"array": array, "levels": levels, "inner": inner, "metadata": metadata},
        notes=tuple(notes),
    )


def _metadata_at(place: Path | str, path: str, name: str) -> bytes | None:
    """Return a file of metadata of what is at a path in a store, if it is there."""
    if isinstance(place, Path):
        file = place / path / name
        return file.read_bytes() if file.is_file() else None
    system, root = file_system(place)
    try:
        return cast(bytes, system.cat_file(f"{root}/{path}".rstrip("/") + f"/{name}"))
    except FileNotFoundError:
        return None


def _mode(channels: int, dtype: np.dtype[Any]) -> str:
    """Return the mode of an array: channels are colours where there are three."""
    mode = mode_of(channels, dtype.name)
    return mode if channels in (1, 3) else f"{channels}{suffix_of(mode)}"


def package() -> Any:
    """Return the package zarr, which an extra installs."""
    try:
        with needs("zarr"):
            import zarr
    except ConvcliError as error:
        raise ConvcliError(
            f"is zarr, which is read by the package zarr ({reason_of(error.__cause__ or error)}); "
            "install the extra 'zarr'"
        ) from error
    return zarr


def _dropped(group: Any, paths: list[str]) -> list[str]:
    kept = {path.split("/")[0] for path in paths}
    others = sorted(name for name, _ in group.members(max_depth=0) if name not in kept)
    return [f"dropped {', '.join(map(repr, others))} beside the image"] if others else []


def plane_of(array: Any, place: Place, shape: tuple[int, int, int]) -> Stored:
    """Return a plane of an array."""
    rows, columns = array.chunks[len(place) : len(place) + 2]
    at_once = max(1, _READ // max(1, rows * columns * shape[2] * array.dtype.itemsize))
    tile = min(rows, shape[0]), min(columns * at_once, shape[1])
    decode = partial(_read, array, place, shape, tile, columns)
    again = partial(plane_of, array, place, shape)
    return Stored(shape, array.dtype.newbyteorder("="), tile, decode, again)


def _read(
    array: Any, place: Place, shape: tuple[int, int, int], tile: tuple[int, int],
    chunk: int, row: int, column: int,
) -> Pixels:  # fmt: skip
    """Read the chunks of a tile; one that is missing has the fill value."""
    height, width, channels = shape
    top, left = row * tile[0], column * tile[1]
    rows = slice(top, min(top + tile[0], height))
    columns = slice(left, min(left + tile[1], width))
    try:
        samples = np.asarray(array[(*place, rows, columns)])
    except Exception:  # find out which of them it is
        for at in range(left, columns.stop, chunk):
            number = (*place, row, at // chunk)
            with reported(f"chunk {number} of {array.path or 'the array'!r} cannot be read"):
                np.asarray(array[(*place, rows, slice(at, min(at + chunk, width)))])
        raise
    return native(samples.reshape(rows.stop - top, columns.stop - left, channels))
