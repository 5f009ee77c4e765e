"""Results as zarr arrays: shard by shard, in a folder or at a URL, so that they can go on later.

Nothing that is not whole is an image: a folder gets its name at the end, and at a URL the metadata
come last. Until then a record says how many rows of each plane are written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from convcli.errors import ConvcliError
from convcli.files.stores import METADATA
from convcli.files.writing import RECORD, new_folder
from convcli.sources.bands import cropped, regrouped
from convcli.sources.contract import Given, Region, Result, Settings
from convcli.sources.ome import name_levels
from convcli.sources.record import Axes, Record
from convcli.sources.remote import file_system
from convcli.sources.zarr_arrays import CHUNK, opened, package, plane_of
from convcli.types import Pixels

__all__ = ["opened", "rows_gathered", "save"]


class Target(NamedTuple):
    """Where an image is written.

    Attributes
    ----------
    folder : Path
        Where the metadata are made.
    array_at : callable
        ``array_at(path)`` returns the array that is at a path in it, to write its chunks.
    record : Record
        What is written already.
    """

    folder: Path
    array_at: Callable[[str], Any]
    record: Record


@contextmanager
def _target_of(place: Path | str, settings: Settings) -> Iterator[Target]:
    """Open a target; it becomes an image if no error ends the block."""
    if isinstance(place, str):
        with TemporaryDirectory() as metadata:
            yield from _at_url(place, Path(metadata), settings)
        return
    with new_folder(
        place, settings.overwrite, within=settings.within, mark=settings.mark,
        goes_on=settings.goes_on,
    ) as folder:  # fmt: skip
        record = folder / RECORD
        for broken in folder.rglob("*.partial"):  # what zarr was writing when it was ended
            broken.unlink()

        def keep(content: bytes) -> None:
            beside = record.with_suffix(".next")
            beside.write_bytes(content)
            os.replace(beside, record)

        def array_at(path: str) -> Any:
            return package().open_array(str(folder / path), mode="r+")

        kept = record.read_bytes() if record.exists() else b""
        yield Target(folder, array_at, Record(settings.mark, kept, keep))
        record.unlink(missing_ok=True)


def _at_url(url: str, folder: Path, settings: Settings) -> Iterator[Target]:
    """Write chunks at a URL, and the metadata when they are whole."""
    system, root = file_system(url)
    system.invalidate_cache()
    record = f"{root}/{RECORD}"
    if any(system.exists(f"{root}/{name}") for name in METADATA):
        if not settings.overwrite:
            raise FileExistsError(17, os.strerror(17), url)
        system.rm(root, recursive=True)
    kept = b""
    with suppress(FileNotFoundError):
        kept = system.cat_file(record)
    if kept and not settings.goes_on:
        system.rm(root, recursive=True)
        kept = b""
    known = Record(settings.mark, kept, lambda content: system.pipe_file(record, content))
    if kept and known.is_empty:
        raise ConvcliError(
            f"{url!r} holds the unfinished result of other work; leave --skip-existing out to "
            "replace it"
        )

    def array_at(path: str) -> Any:
        """Open an array whose metadata do not stay there."""
        at = f"{root}/{path}".rstrip("/.")
        names = [name for name in METADATA if (folder / path / name).is_file()]
        for name in names:
            system.pipe_file(f"{at}/{name}", (folder / path / name).read_bytes())
        try:
            return package().open_array(f"{url.rstrip('/')}/{path}".rstrip("/."), mode="r+")
        finally:
            for name in names:
                system.rm_file(f"{at}/{name}")

    yield Target(folder, array_at, known)
    system.invalidate_cache()
    if not system.exists(record) or system.cat_file(record) != known.content:
        raise ConvcliError(f"another run has begun to write to {url!r}")
    files = [path for path in folder.rglob("*") if path.is_file()]
    for file in sorted(files, key=lambda path: -len(path.parts)):  # those of the image last
        system.pipe_file(f"{root}/{file.relative_to(folder).as_posix()}", file.read_bytes())
    with suppress(FileNotFoundError):
        system.rm_file(record)


def save(
    place: Path | str, given: Given, results: Iterable[Result], settings: Settings
) -> tuple[str, ...]:
    """Write an array or an image as the input is, or an array of version 3 made of another kind."""
    zarr = package()
    notes: list[str] = []
    with _target_of(place, settings) as target:
        if given.kind != "ZARR" or not given.carried["group"]:
            _written(target, ".", given, results, settings)
            return ()
        array, paths = given.carried["array"], given.carried["paths"]
        mode: Any = "w" if target.record.is_empty else "r+"
        version = array.metadata.zarr_format
        root = zarr.open_group(str(target.folder), mode=mode, zarr_format=version)
        root.attrs.put(given.carried["attributes"])
        for path in paths:
            for above in [*Path(path).parents][-2::-1]:
                root.require_group(str(above))
        made = _written(target, paths[0], given, results, settings)
        is_like = made.shape == array.shape
        made_of = _levels(target, made, given, settings) if is_like else 0
        if len(paths) > 1 + made_of:
            lost = ", ".join(map(repr, paths[1 + made_of :]))
            notes.append(f"dropped the levels {lost}, which are not half as large as those above")
            name_levels(root, 1 + made_of)
        if given.carried["metadata"]("", ".zmetadata"):
            zarr.consolidate_metadata(str(target.folder))
    return tuple(notes)


def rows_gathered(given: Given) -> int:
    """Return the height of a chunk, or of a shard."""
    array = given.carried.get("array")
    if array is None:
        return CHUNK
    axis = -given.carried["inner"]
    rows: int = min((array.shards or array.chunks)[axis], array.shape[axis])
    return rows


def _written(
    target: Target, path: str, given: Given, results: Iterable[Result], settings: Settings
) -> Any:
    """Write planes into a new array, and return it."""
    array = None
    for place, result in zip(np.ndindex(*_outer(given)), results, strict=True):
        if array is None:
            _create(target.folder / path, given, result)
            array = target.array_at(path)
        _write(target.record, path, array, place, result, settings)
    return array


def _write(
    record: Record, path: str, array: Any, place: Axes, result: Result, settings: Settings
) -> None:
    """Write a plane, each chunk or shard once: in bands as high as these, or each elsewhere."""
    height, width, _ = result.shape
    put = partial(_put, array, place)
    top = record.of(path, place)
    if top >= height:
        return
    rows, columns = (array.shards or array.chunks)[len(place) : len(place) + 2]
    if settings.elsewhere and result.regional:
        size = result.regional.size_for((rows, columns))
        missing = record.missing(path, place, (height, width), size)
        done = -(-height // size[0]) * -(-width // size[1]) - len(missing)
        try:
            for region in settings.elsewhere(result, missing, done, put):
                record.add_region(path, place, region, (height, width))
        finally:
            record.keep()
        return
    for band in regrouped(result.bands_from(top), min(rows, height)):
        put(((top, top + len(band)), (0, width)), band)
        top += len(band)
        del band  # or it would be held while the next one is made
        record.add(path, place, top)


def _put(array: Any, place: Axes, region: Region, pixels: Pixels) -> None:
    """Write a region of a plane."""
    is_flat = array.ndim - len(place) == 2
    where = (*place, *(slice(*span) for span in region))
    # To leave out chunks of nothing but the fill value, zarr looks at every sample: a quarter of
    # the time of writing. Some samples show that there is none.
    chunk = array.chunks[len(place) : len(place) + 2]
    if all(_is_filled(part, array.fill_value) for part in _chunks(pixels, chunk)):
        array = array.with_config({"write_empty_chunks": True})
    array[where] = pixels[..., 0] if is_flat else pixels


def _chunks(pixels: Pixels, size: tuple[int, int]) -> Iterator[Pixels]:
    """Yield the parts of an image that are chunks."""
    for top in range(0, pixels.shape[0], size[0]):
        for left in range(0, pixels.shape[1], size[1]):
            yield pixels[top : top + size[0], left : left + size[1]]


def _is_filled(chunk: Pixels, fill: Any) -> bool:
    """Say whether some samples of each channel are other numbers than the fill value."""
    some = chunk[::16, ::16]
    return fill is not None and bool(((some > fill) | (some < fill)).any(axis=(0, 1)).all())


def _outer(given: Given) -> Axes:
    """Return the lengths of the axes before y."""
    array = given.carried.get("array")
    if array is None:
        return (given.count,) if given.count > 1 else ()
    shape: Axes = array.shape[: array.ndim - given.carried["inner"]]
    return shape


def _create(path: Path, given: Given, result: Result) -> None:
    """Make the metadata of an array like the input's, or of one for an image of another kind."""
    if any((path / name).is_file() for name in ("zarr.json", ".zarray")):
        return  # work goes on
    zarr = package()
    old, outer = given.carried.get("array"), _outer(given)
    is_flat = result.shape[2] == 1 and given.carried.get("inner", 2) == 2
    shape = (*outer, *(result.shape[:2] if is_flat else result.shape))
    if old is not None and (old.shape, old.dtype.newbyteorder("=")) == (shape, result.dtype):
        _create_like(old, given, path)
        return
    names = [*["page"][: len(outer)], "y", "x", "c"]
    sides = [min(CHUNK, side) for side in result.shape[:2]]
    chunks = (*[1] * len(outer), *sides, result.shape[2])
    if old is not None:
        names = [*(f"axis{number}" for number in range(len(outer))), "y", "x", "c"]
        chunks = (*(old.shards or old.chunks)[: len(outer) + 2], result.shape[2])
    zarr.create_array(
        str(path), shape=shape, dtype=result.dtype, chunks=chunks[: len(shape)],
        dimension_names=names[: len(shape)],
    )  # fmt: skip


def _create_like(old: Any, given: Given, path: Path) -> None:
    """Make the metadata of another array: codecs, shards, fill value, names of axes."""
    path.mkdir(parents=True, exist_ok=True)
    for name in ("zarr.json", ".zarray", ".zattrs"):
        content = given.carried["metadata"](old.path, name)
        if content is not None:
            (path / name).write_bytes(content)


def _levels(target: Target, above: Any, given: Given, settings: Settings) -> int:
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
        _create_like(old, given, target.folder / path)
        made = target.array_at(path)
        shape = (*size, above.shape[-1] if inner == 3 else 1)
        for place in np.ndindex(*outer):
            half = settings.halve(plane_of(above, place, shape))
            _write(target.record, path, made, place, _cropped(half, *wanted), settings)
        above = made
    return len(paths) - 1


def _cropped(result: Result, rows: int, columns: int) -> Result:
    """Return the first rows and columns of a result."""

    def bands_from(first: int) -> Iterator[Pixels]:
        return cropped(result.bands_from(first), rows - first, columns)

    shape = rows, columns, result.shape[2]
    return Result(shape, result.dtype, bands_from, result.regional)
