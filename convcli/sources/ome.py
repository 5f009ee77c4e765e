"""The metadata of OME-Zarr images (versions 0.4 and 0.5): their levels and axes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from convcli.errors import ConvcliError


def paths_of(group: Any) -> list[str]:
    """Return the paths of the levels of an OME-Zarr image (versions 0.4 and 0.5)."""
    scales: Any = _ome(dict(group.attrs)).get("multiscales")
    with suppress(Exception):  # the metadata may be anything
        paths = [str(each["path"]) for each in scales[0]["datasets"]]
        if paths:
            return paths
    inside = sorted(name for name, _ in group.members(max_depth=0))[:3]
    named = f"; it holds {', '.join(map(repr, inside))}" if inside else ""
    raise ConvcliError(
        f"is a zarr group, not an image: it has no multiscales metadata{named}; name an "
        "array or an OME-Zarr image in it"
    )


def _ome(attributes: dict[str, Any]) -> dict[str, Any]:
    own = attributes.get("ome", attributes)
    return own if isinstance(own, dict) else {}


def axes_of(array: Any, attributes: dict[str, Any]) -> list[str | None]:
    """Return the names of the axes; without any the last two are y and x."""
    with suppress(Exception):
        axes = [
            each["name"] if isinstance(each, dict) else each
            for each in _ome(attributes)["multiscales"][0]["axes"]
        ]
        if len(axes) == array.ndim:
            return axes
    names: Any = getattr(array.metadata, "dimension_names", None) or array.attrs.get(
        "_ARRAY_DIMENSIONS"  # xarray's
    )
    if names and len(names) == array.ndim and {"x", "y"} <= {*names}:
        return list(names)
    return [*[None] * (array.ndim - 2), "y", "x"][-array.ndim :]


def name_levels(root: Any, count: int) -> None:
    """Leave the first levels alone in the metadata of an image."""
    attributes = dict(root.attrs)
    scales = _ome(attributes)["multiscales"][0]
    scales["datasets"] = scales["datasets"][:count]
    root.attrs.put(attributes)
