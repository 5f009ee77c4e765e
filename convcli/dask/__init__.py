"""Filters of dask arrays: `convcli.dask.blur`, `edge`, `sharpen` and `convolve`."""

from convcli.dask.filters import blur, convolve, edge, sharpen

__all__ = ["blur", "convolve", "edge", "sharpen"]
