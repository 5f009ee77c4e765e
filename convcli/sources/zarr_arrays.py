"""Zarr arrays of versions 2 and 3, and OME-Zarr images: planes of all axes before y and x."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convcli.errors import ConvcliError, reason_of
from convcli.files.writing import new_folder
from convcli.image.deep import needs
from convcli.image.picture import mode_of, suffix_of
from convcli.sources.bands import cropped, regrouped
from convcli.sources.contract import Given, Result, Settings, Stored, check_samples
from convcli.sources.npy import native
from convcli.sources.ome import axes_of, name_levels, paths_of
from convcli.types import Pixels

# Chunks of arrays that are made of other formats.
_CHUNK = 512

# Several chunks of a row are read at a time, up to this many bytes: each call takes 0.5 ms.
_READ = 1 << 19

Place = tuple[int, ...]


@contextmanager
def opened(path: Path, _is_grey: bool = False) -> Iterator[Given]:
    """Open an array, or the first level of an OME-Zarr image."""
    zarr = _package()
    with _reported("cannot be read"):
        found: Any = zarr.open(path, mode="r")
    if isinstance(found, zarr.Array):
        array, levels = found, []
        carried: dict[str, Any] = {"group": False}
    else:
        paths = paths_of(found)
        with _reported(f"cannot be read: its array {paths[0]!r}"):
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
        (_stored(array, place, shape) for place in np.ndindex(*places)),
        math.prod(places),
        _mode(shape[2], native_of(array.dtype)),
        "ZARR",
        carried | {"array": array, "levels": levels, "inner": inner, "path": path},
        notes=tuple(notes),
    )


def _mode(channels: int, dtype: np.dtype[Any]) -> str:
    """Return the mode of an array: channels are colours where there are three."""
    mode = mode_of(channels, dtype.name)
    return mode if channels in (1, 3) else f"{channels}{suffix_of(mode)}"


def _package() -> Any:
    try:
        with needs("zarr"):
            import zarr
    except ConvcliError as error:
        raise ConvcliError(
            f"is zarr, which is read by the package zarr ({reason_of(error.__cause__ or error)}); "
            "install the extra 'zarr'"
        ) from error
    return zarr


@contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except ConvcliError:
        raise
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise ConvcliError(f"{what}: {reason_of(error)}") from error
        raise
    except Exception as error:  # zarr and its codecs raise any kind
        raise ConvcliError(f"{what}: {reason_of(error)}") from error


def _dropped(group: Any, paths: list[str]) -> list[str]:
    kept = {path.split("/")[0] for path in paths}
    others = sorted(name for name, _ in group.members(max_depth=0) if name not in kept)
    return [f"dropped {', '.join(map(repr, others))} beside the image"] if others else []


def _stored(array: Any, place: Place, shape: tuple[int, int, int]) -> Stored:
    """Return a plane of an array."""
    rows, columns = array.chunks[len(place) : len(place) + 2]
    at_once = max(1, _READ // max(1, rows * columns * shape[2] * array.dtype.itemsize))
    tile = min(rows, shape[0]), min(columns * at_once, shape[1])
    decode = partial(_read, array, place, shape, tile, columns)
    return Stored(shape, array.dtype.newbyteorder("="), tile, decode)


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
            with _reported(f"chunk {number} of {array.path or 'the array'!r} cannot be read"):
                np.asarray(array[(*place, rows, slice(at, min(at + chunk, width)))])
        raise
    return native(samples.reshape(rows.stop - top, columns.stop - left, channels))


def rows_gathered(given: Given) -> int:
    """Return the height of a chunk, or of a shard."""
    array = given.carried.get("array")
    if array is None:
        return _CHUNK
    axis = -given.carried["inner"]
    rows: int = min((array.shards or array.chunks)[axis], array.shape[axis])
    return rows


def save(
    target: Path, given: Given, results: Iterable[Result], settings: Settings
) -> tuple[str, ...]:
    """Write an array or an image as the input is, or an array of version 3 made of another kind."""
    zarr = _package()
    notes: list[str] = []
    with new_folder(target, settings.overwrite, within=settings.within) as folder:
        if given.kind != "ZARR" or not given.carried["group"]:
            _written(folder, given, results)
            return ()
        array, paths = given.carried["array"], given.carried["paths"]
        root = zarr.open_group(folder, mode="w", zarr_format=array.metadata.zarr_format)
        root.attrs.put(given.carried["attributes"])
        for path in paths:
            for above in [*Path(path).parents][-2::-1]:
                root.require_group(str(above))
        made = _written(folder / paths[0], given, results)
        is_like = made.shape == array.shape
        made_of = _levels(folder, made, given, settings) if is_like else 0
        if len(paths) > 1 + made_of:
            lost = ", ".join(map(repr, paths[1 + made_of :]))
            notes.append(f"dropped the levels {lost}, which are not half as large as those above")
            name_levels(root, 1 + made_of)
        if (given.carried["path"] / ".zmetadata").is_file():
            zarr.consolidate_metadata(str(folder))
    return tuple(notes)


def _written(path: Path, given: Given, results: Iterable[Result]) -> Any:
    """Write planes into a new array, and return it."""
    array = None
    rows = rows_gathered(given)
    for place, result in zip(np.ndindex(*_outer(given)), results, strict=True):
        if array is None:
            array = _created(path, given, result)
        _write(array, place, result.bands, rows)
    return array


def _write(array: Any, place: Place, bands: Iterable[Pixels], rows: int) -> None:
    """Write a plane in bands as high as the chunks or shards, each of which is written once."""
    is_flat = array.ndim - len(place) == 2
    top = 0
    for band in regrouped(bands, rows):
        array[(*place, slice(top, top + len(band)))] = band[..., 0] if is_flat else band
        top += len(band)


def _outer(given: Given) -> Place:
    """Return the lengths of the axes before y."""
    array = given.carried.get("array")
    if array is None:
        return (given.count,) if given.count > 1 else ()
    shape: Place = array.shape[: array.ndim - given.carried["inner"]]
    return shape


def _created(path: Path, given: Given, result: Result) -> Any:
    """Make an array like the input's, or one for an image of another kind."""
    zarr = _package()
    old, outer = given.carried.get("array"), _outer(given)
    is_flat = result.shape[2] == 1 and given.carried.get("inner", 2) == 2
    shape = (*outer, *(result.shape[:2] if is_flat else result.shape))
    if old is not None and (old.shape, native_of(old.dtype)) == (shape, result.dtype):
        return _like(old, given, path)
    names = [*["page"][: len(outer)], "y", "x", "c"]
    sides = [min(_CHUNK, side) for side in result.shape[:2]]
    chunks = (*[1] * len(outer), *sides, result.shape[2])
    if old is not None:
        names = [*(f"axis{number}" for number in range(len(outer))), "y", "x", "c"]
        chunks = (*(old.shards or old.chunks)[: len(outer) + 2], result.shape[2])
    return zarr.create_array(
        str(path), shape=shape, dtype=result.dtype, chunks=chunks[: len(shape)],
        dimension_names=names[: len(shape)],
    )  # fmt: skip


def native_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a dtype in the machine's byte order."""
    return dtype.newbyteorder("=")


def _like(old: Any, given: Given, path: Path) -> Any:
    """Make an array with the metadata of another: codecs, shards, fill value, names of axes."""
    zarr = _package()
    path.mkdir(parents=True, exist_ok=True)
    for name in ("zarr.json", ".zarray", ".zattrs"):
        own = given.carried["path"] / old.path / name
        if own.is_file():
            shutil.copyfile(own, path / name)
    return zarr.open_array(str(path), mode="r+")


def _levels(folder: Path, above: Any, given: Given, settings: Settings) -> int:
    """Make the levels below the first again, each of the one above; return how many were made."""
    paths, inner = given.carried["paths"], given.carried["inner"]
    for number, (path, old) in enumerate(zip(paths[1:], given.carried["levels"], strict=True), 0):
        outer = above.shape[: above.ndim - inner]
        size = above.shape[len(outer) : len(outer) + 2]
        wanted = old.shape[len(outer) : len(outer) + 2]
        is_half = all(
            small in (big // 2, -(-big // 2)) for small, big in zip(wanted, size, strict=True)
        )
        if settings.halve is None or old.shape[: len(outer)] != outer or not is_half:
            return number
        made = _like(old, given, folder / path)
        rows = min((made.shards or made.chunks)[len(outer)], wanted[0])
        shape = (*size, above.shape[-1] if inner == 3 else 1)
        for place in np.ndindex(*outer):
            result = settings.halve(_stored(above, place, shape))
            _write(made, place, cropped(result.bands, *wanted), rows)
        above = made
    return len(paths) - 1
