"""convcli: image filters by convolution, exact and fast, on the command line and from Python.

Functions are imported when they are first used: ``import convcli`` and ``convcli --help`` load
neither numpy nor numba nor Pillow nor pathos.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from convcli.errors import ConvcliError

if TYPE_CHECKING:
    from convcli.banks.convolution import conv2d, conv_transpose2d, plan_conv2d, separable_conv2d
    from convcli.banks.network import avg_pool2d, max_pool2d, relu
    from convcli.filtering.chains import chain
    from convcli.filtering.convolution import convolve, plan
    from convcli.filtering.filters import blur, edge, sharpen
    from convcli.filtering.stages import stage
    from convcli.kernels.files import kernel
    from convcli.kernels.gaussian import gaussian_kernel
    from convcli.kernels.named import sobel_kernels

__version__ = "0.1.0"

__all__ = [
    "ConvcliError",
    "__version__",
    "avg_pool2d",
    "blur",
    "chain",
    "conv2d",
    "conv_transpose2d",
    "convolve",
    "edge",
    "gaussian_kernel",
    "kernel",
    "max_pool2d",
    "plan",
    "plan_conv2d",
    "relu",
    "separable_conv2d",
    "sharpen",
    "sobel_kernels",
    "stage",
]

_HOMES = {
    "blur": "filtering.filters",
    "edge": "filtering.filters",
    "sharpen": "filtering.filters",
    "convolve": "filtering.convolution",
    "chain": "filtering.chains",
    "stage": "filtering.stages",
    "plan": "filtering.convolution",
    "conv2d": "banks.convolution",
    "conv_transpose2d": "banks.convolution",
    "separable_conv2d": "banks.convolution",
    "plan_conv2d": "banks.convolution",
    "relu": "banks.network",
    "max_pool2d": "banks.network",
    "avg_pool2d": "banks.network",
    "kernel": "kernels.files",
    "gaussian_kernel": "kernels.gaussian",
    "sobel_kernels": "kernels.named",
}


def __dir__() -> list[str]:
    """List the public names alone, also those that are not imported yet."""
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name == "dask":  # no public name: `from convcli import *` would hide the package
        return import_module("convcli.dask")
    if name not in _HOMES:
        raise AttributeError(f"module 'convcli' has no attribute {name!r}")
    return getattr(import_module(f"convcli.{_HOMES[name]}"), name)
