"""Banks in files: .npy, .npz and .safetensors; nothing is unpickled."""

from __future__ import annotations

import stat
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from convcli.banks.bank import Bank, bank_of
from convcli.errors import ConvcliError, reason_of, shown
from convcli.words import listed

SUFFIXES = (".npy", ".npz", ".safetensors")

# 2**28 weights of 8 bytes: a layer of 8192 x 8192 x 2 x 2.
_MOST_BYTES = 1 << 31


def read_bank(path: Path, layer: str | None = None) -> Bank:
    """Read a bank from a file.

    Parameters
    ----------
    path : Path
        A .npy file of one array, or a .npz or .safetensors file of several.
    layer : str, optional
        The name of the array; not needed where only one has kernels.

    Raises
    ------
    ConvcliError
        If it cannot be read, or the array is not there; the message lists those that are.
    """
    suffix = path.suffix.lower()
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConvcliError(f"bank {shown(path)}: is not a regular file")
        if status.st_size > _MOST_BYTES:
            raise ConvcliError(f"bank {shown(path)}: is larger than the limit of 2 GB")
        if suffix == ".npy":
            if layer is not None:
                raise ConvcliError(f"bank {shown(path)}: has no layers; leave out {layer!r}")
            return bank_of(np.lib.format.open_memmap(path, mode="r"), shown(path))
        if suffix == ".npz":
            return _from_npz(path, layer)
        if suffix == ".safetensors":
            return _from_safetensors(path, layer)
    except ConvcliError:
        raise
    except OSError as error:
        raise ConvcliError(f"bank {shown(path)}: {error.strerror or error}") from None
    except Exception as error:  # damaged headers raise exceptions of many types
        raise ConvcliError(f"bank {shown(path)}: cannot be read ({reason_of(error)})") from error
    raise ConvcliError(f"bank {shown(path)}: a bank is a {listed(SUFFIXES)} file")


def _from_npz(path: Path, layer: str | None) -> Bank:
    with zipfile.ZipFile(path) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
    shapes: dict[str, tuple[int, ...]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            with arrays.zip.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                reader = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }.get(version, np.lib.format.read_array_header_2_0)
                shapes[name] = reader(file)[0]
        chosen = _chosen(path, layer, shapes)
        if sizes.get(f"{chosen}.npy", 0) > _MOST_BYTES:
            raise ConvcliError(f"bank {shown(path)}: {chosen!r} is larger than the limit of 2 GB")
        return bank_of(arrays[chosen], f"{shown(path)} {chosen}")


def _from_safetensors(path: Path, layer: str | None) -> Bank:
    if find_spec("safetensors") is None:
        raise ConvcliError(
            f"bank {shown(path)}: needs the package safetensors, which is not installed; "
            "install it with the extra 'bank'"
        )
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as tensors:
        shapes = {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118 - it is no dict
        chosen = _chosen(path, layer, shapes)
        array: Any = tensors.get_tensor(chosen)
    return bank_of(array, f"{shown(path)} {chosen}")


def _chosen(path: Path, layer: str | None, shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the name of the array to read, or raise `ConvcliError` and list them."""
    kernels = {name: shape for name, shape in shapes.items() if len(shape) in (2, 3, 4)}
    layers = {name: shape for name, shape in kernels.items() if len(shape) == 4} or kernels
    if layer is None and len(layers) == 1:
        return next(iter(layers))
    if layer in shapes:
        return layer
    there = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in layers.items())
    problem = "has several layers; name one" if layer is None else f"has no layer {layer!r}"
    raise ConvcliError(f"bank {shown(path)}: {problem} (it has {there or 'no kernels'})")
