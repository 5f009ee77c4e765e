"""Which method computes a layer: predicted times, multiplications and memory of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convcli.banks.contract import METHODS
from convcli.banks.fft import block
from convcli.banks.im2col import columns_factor
from convcli.banks.layer import Layer
from convcli.banks.winograd import serves
from convcli.errors import ConvcliError
from convcli.loops.compiled import machine_code
from convcli.loops.layout import ceil_div
from convcli.planning.costs import COMPILING_EACH_TIME
from convcli.planning.methods import is_installed, worker_count
from convcli.words import BankMethod, duration, listed

# Nanoseconds of one core, measured on an Intel Xeon (AVX-512) with float32; float64 takes twice as
# long. Products: 104 GMAC/s in registers, 93 by BLAS; a kernel of one channel and map shares fewer
# loads: 14 GMAC/s with 3 x 3 weights, 63 with 15 x 15.
_PRODUCT = {"definition": 250.0, "direct": 1 / 90, "im2col": 1 / 75, "winograd": 1 / 60,
            "winograd_4x4": 1 / 60, "fft": 1 / 12}  # fmt: skip
_ALONE = 1 / 40
# A sample that is laid out or transformed: a store and a load, and of Winograd's and Fourier's
# transforms several.
_MOVED = {"definition": 0.0, "direct": 0.3, "im2col": 0.8, "winograd": 1.2, "winograd_4x4": 1.6,
          "fft": 0.4}  # fmt: skip
_CALL = 60_000.0  # of a piece, and of starting a thread


@dataclass(frozen=True)
class BankPlan:
    """What would run for a layer, and why; print it to read it.

    Attributes
    ----------
    layer : Layer
        What there is to do.
    method : str
        The method, never "auto".
    workers : int
        Threads to use.
    seconds : float
        Predicted time.
    predicted : dict
        The same for every method that serves the layer.
    reason : str
        Why this method.
    """

    layer: Layer
    method: BankMethod
    workers: int
    seconds: float
    predicted: dict[BankMethod, float]
    reason: str

    def __str__(self) -> str:
        return "\n".join(f"{word:11}{text}" for word, text in self.parts())

    def parts(self) -> list[tuple[str, str]]:
        """Return the plan as pairs of a word and what there is to say about it."""
        layer = self.layer
        words = "transposed convolution" if layer.transposed else f"{layer.kind} convolution"
        products = {m: multiplications(layer, m) for m in self.predicted}
        return [
            ("layer", f"{words}, {_shape(layer)}"),
            ("method", f"{self.method}: {self.reason}"),
            ("loop", METHODS[self.method]),
            ("products", ", ".join(f"{m} {n:,}" for m, n in products.items())),
            ("columns", f"im2col's matrix would be {columns_factor(layer):.3g} times the input"),
            ("predicted", ", ".join(f"{m} {duration(s)}" for m, s in self.predicted.items())),
        ]


def _shape(layer: Layer) -> str:
    height, width = layer.size
    out_height, out_width = layer.out_size
    return (
        f"{layer.images} x {layer.channels} x {height} x {width} to {layer.images} x {layer.maps} "
        f"x {out_height} x {out_width}, kernels of {layer.kernel[0]} x {layer.kernel[1]}"
    )


def plan_layer(layer: Layer, method: BankMethod = "auto", workers: int | None = None) -> BankPlan:
    """Choose the method of a layer that is predicted to be fastest.

    Raises
    ------
    ConvcliError
        If the method is unknown, or cannot compute the layer.
    """
    if method not in ("auto", *METHODS):
        raise ConvcliError(f"unknown method {method!r}; it must be {listed(('auto', *METHODS))}")
    cores = worker_count(workers)
    serving: list[BankMethod] = [name for name in METHODS if _serves(layer, name)]
    predicted = {name: _seconds(layer, name, cores) for name in serving}
    if method == "auto":
        chosen = min(predicted, key=predicted.__getitem__)
        reason = "predicted to be fastest"
    elif method not in predicted:
        raise ConvcliError(
            f"method {method!r} cannot compute this layer ({_shape(layer)}, stride {layer.stride}, "
            f"dilation {layer.dilation}); choose {listed(('auto', *serving))}"
        )
    else:
        chosen, reason = method, "as asked for"
    return BankPlan(layer, chosen, cores, predicted[chosen], predicted, reason)


def _serves(layer: Layer, method: str) -> bool:
    if layer.transposed:
        return method in ("definition", "direct")
    if method.startswith("winograd"):
        return serves(layer)
    return method != "direct" or is_installed("numba")


def multiplications(layer: Layer, method: str) -> int:
    """Return how many products a method makes.

    Those of a Winograd transform by small whole numbers and of a Fourier transform are not counted:
    they do not grow with channels times maps.
    """
    pairs = layer.images * layer.channels * layer.maps // layer.groups
    if method.startswith("winograd"):
        m = 4 if method == "winograd_4x4" else 2
        tiles = math.prod(ceil_div(length, m) for length in layer.out_size)
        return pairs * tiles * (m + 2) ** 2
    if method == "fft":
        height, width = block(layer)
        # A complex product has four real ones; of a real transform half the spectrum is kept.
        return pairs * _blocks(layer) * height * (width // 2 + 1) * 4
    return layer.multiplications


def _blocks(layer: Layer) -> int:
    """Blocks that `convcli.banks.fft` cuts an image into."""
    number = 1
    for axis, length in enumerate(block(layer)):
        results = ceil_div(length - layer.extent[axis] + 1, layer.stride[axis])
        number *= ceil_div(layer.out_size[axis], results)
    return number


def _seconds(layer: Layer, method: str, workers: int) -> float:
    """Predict the time of a method."""
    pairs = multiplications(layer, method)
    product = _PRODUCT[method]
    if method == "direct" and layer.channels == layer.groups == layer.maps:
        product = _ALONE
    samples = float(layer.images * layer.channels * math.prod(layer.size))
    results = layer.images * layer.maps * math.prod(layer.out_size)
    if method == "im2col":
        samples = (
            layer.images * layer.channels * math.prod(layer.kernel) * math.prod(layer.out_size)
        )
    elif method == "fft":
        height, width = block(layer)
        area = _blocks(layer) * height * width * math.log2(height * width)
        kernels = layer.maps * layer.channels // layer.groups * height * width
        samples = layer.images * (layer.channels + layer.maps) * area
        samples += kernels * math.log2(height * width)
    elif method.startswith("winograd"):
        samples *= 2
        results *= 2
    work = pairs * product + (samples + results) * _MOVED[method]
    if layer.dtype.itemsize == 8:
        work *= 2
    if method == "definition":
        return work * 1e-9
    spread = work / workers + _CALL * workers
    seconds = min(spread, work + _CALL) * 1e-9
    if method == "direct" and not _is_compiled(layer):
        seconds += COMPILING_EACH_TIME
    return seconds


def _is_compiled(layer: Layer) -> bool:
    """Say whether the loop is compiled, or will be once for all: layers are called often."""
    name = layer.dtype.name
    return (
        machine_code.is_loaded("bank", name)
        or machine_code.is_kept("bank", name)
        or machine_code.can_be_kept()
    )
