"""Which method computes a layer: predicted times, multiplications and memory of each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from convcli.banks import im2col, winograd
from convcli.banks.contract import METHODS
from convcli.banks.fft import block
from convcli.banks.layer import Layer
from convcli.errors import ConvcliError
from convcli.loops.compiled import machine_code
from convcli.loops.layout import BLOCK, ceil_div
from convcli.planning.costs import COMPILING, RUNS
from convcli.planning.methods import is_installed, worker_count
from convcli.words import BankMethod, duration, listed

# Nanoseconds of one core, measured on an Intel Xeon (AVX-512) with float32; float64 takes twice as
# long. `benchmarks/banks.py --costs` compares them with measurements.
_PRODUCT = {"definition": 1000.0, "direct": 1 / 88, "im2col": 1 / 75, "winograd": 1 / 95,
            "winograd_4x4": 1 / 85, "fft": 1 / 12}  # fmt: skip
# The largest error of F(4x4, 3x3) in float32 is 3.4e-6 of the range with 512 channels, 9e-6 with
# 2048.
_MOST_CHANNELS = 512
# Products of Winograd whose transformed samples do not fit the second-level cache.
_SPILLED = 1 / 40
# Fewer maps share less of what is loaded.
_ALONE, _FEW = 1 / 70, 1 / 45
# To check the arguments; to hand work to a thread (20 microseconds) and set its piece up, while no
# other thread runs Python; and numpy's calls for each piece.
_SET_UP = {"definition": 0.0, "direct": 1.0e5, "im2col": 1.2e5, "winograd": 1.2e5,
           "winograd_4x4": 1.2e5, "fft": 1.5e5}  # fmt: skip
_THREAD = 5e4
_PIECE = {"winograd": 5e4, "winograd_4x4": 5e4, "fft": 2.7e5}
# A sample that is loaded or stored once; of im2col that of a column, a result and the input, and a
# copy into a block; of Winograd's transforms all together; of Fourier's for each halving. A weight
# that is transformed or laid out is not shared by threads.
_MOVED, _LAID_OUT = 0.15, 0.6
_COLUMN, _RESULT, _PADDED, _COPY = 1.2, 1.5, 5.0, 2500.0
_TILED, _TILED_WEIGHT = 1.2, 0.6
_HALVED, _HALVED_WEIGHT = 0.6, 1.1


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
    missed : float
        Seconds that compiled loops would save, if they have to be compiled first.
    """

    layer: Layer
    method: BankMethod
    workers: int
    seconds: float
    predicted: dict[BankMethod, float]
    reason: str
    missed: float = 0.0

    def __str__(self) -> str:
        return "\n".join(f"{word:11}{text}" for word, text in self.parts())

    def parts(self) -> list[tuple[str, str]]:
        """Return the plan as pairs of a word and what there is to say about it."""
        layer = self.layer
        words = "transposed convolution" if layer.transposed else f"{layer.kind} convolution"
        return [
            ("layer", f"{words}, {_shape(layer)}"),
            ("method", f"{self.method}: {self.reason}"),
            ("loop", METHODS[self.method]),
            ("products", "; ".join(counted(layer, self.predicted))),
            (
                "columns",
                f"im2col's matrix would be {im2col.columns_factor(layer):.3g} times the input",
            ),
            ("predicted", ", ".join(f"{m} {duration(s)}" for m, s in self.predicted.items())),
        ]


def counted(layer: Layer, methods: Iterable[str]) -> list[str]:
    """Say how many products the methods make, the most first, and how many times fewer others do.

    Of a dense layer also what a depthwise and a pointwise one in its place would make.
    """
    counts: dict[int, list[str]] = {}
    for method in methods:
        counts.setdefault(multiplications(layer, method), []).append(method)
    if layer.kind == "dense" and not layer.transposed:
        area = math.prod(layer.kernel)
        pixels = layer.images * math.prod(layer.out_size)
        separable = layer.channels * (area + layer.maps) * pixels
        counts.setdefault(separable, []).append("a separable layer instead")
    most = layer.multiplications
    return [
        f"{', '.join(names)} {count:,}" + (f" ({most / count:.3g} times fewer)" * (count < most))
        for count, names in sorted(counts.items(), reverse=True)
    ]


def _shape(layer: Layer) -> str:
    height, width = layer.size
    out_height, out_width = layer.out_size
    return (
        f"{(layer.images, layer.channels, height, width)} to "
        f"{(layer.images, layer.maps, out_height, out_width)}, "
        f"kernels of {layer.kernel[1]} x {layer.kernel[0]}"
    )


def plan_layer(layer: Layer, method: BankMethod = "auto", workers: int | None = None) -> BankPlan:
    """Choose the method of a layer that is predicted to be fastest.

    Raises
    ------
    ConvcliError
        If the method is unknown, or cannot compute the layer.
    """
    if method != "auto" and not (isinstance(method, str) and method in METHODS):
        raise ConvcliError(f"unknown method {method!r}; it must be {listed(('auto', *METHODS))}")
    cores = worker_count(workers)
    return _planned(layer, method, cores, _compiling(layer))


@lru_cache(maxsize=256)  # a network has the same layers for every image
def _planned(layer: Layer, method: BankMethod, cores: int, compiling: float) -> BankPlan:
    serving: list[BankMethod] = [name for name in METHODS if _serves(layer, name)]
    times = {name: _seconds(layer, name, cores, compiling) for name in serving}
    predicted = {name: min(both) for name, both in times.items()}
    if method == "auto":
        compared = [name for name in serving if _is_for_auto(layer, name)] or serving
        chosen = min(compared, key=predicted.__getitem__)
        reason = "predicted to be fastest"
    elif method not in predicted:
        raise ConvcliError(
            f"method {method!r} cannot compute this layer ({_shape(layer)}, stride {layer.stride}, "
            f"dilation {layer.dilation}); choose {listed(('auto', *serving))}"
        )
    else:
        chosen, reason = method, "as asked for"
    alone, spread = times[chosen]
    workers = 1 if alone <= spread else cores
    missed = 0.0
    if method == "auto" and compiling and not _needs_numba(chosen):
        compiled = [seconds for name, seconds in predicted.items() if _needs_numba(name)]
        missed = max(0.0, predicted[chosen] + compiling - min(compiled, default=math.inf))
    return BankPlan(layer, chosen, workers, predicted[chosen], predicted, reason, missed)


def _serves(layer: Layer, method: str) -> bool:
    if _needs_numba(method) and not is_installed("numba"):
        return False
    if layer.transposed:
        return method in ("definition", "direct")
    return winograd.serves(layer) or not method.startswith("winograd")


def _is_for_auto(layer: Layer, method: str) -> bool:
    """Say whether auto may take a method: not the oracle, and not what might round too much."""
    channels = layer.channels // layer.groups
    is_exact = layer.dtype.itemsize == 8 or channels <= _MOST_CHANNELS
    return method != "definition" and (method != "winograd_4x4" or is_exact)


def _needs_numba(method: str) -> bool:
    return method == "direct" or method.startswith("winograd")


def multiplications(layer: Layer, method: str) -> int:
    """Return how many products a method makes.

    Those of a Winograd transform by small whole numbers and of a Fourier transform are not counted:
    they do not grow with channels times maps.
    """
    pairs = layer.images * layer.channels * layer.maps // layer.groups
    if method.startswith("winograd"):
        m = winograd.RESULTS[method]
        tiles = math.prod(ceil_div(length, m) for length in layer.out_size)
        return pairs * tiles * (m + 2) ** 2
    if method == "fft":
        height, width = block(layer)
        # A complex product has four real ones; of a real transform half the spectrum is kept.
        return pairs * _blocks(layer) * height * (width // 2 + 1) * 4
    return layer.multiplications


def _blocks(layer: Layer) -> int:
    """Blocks that `convcli.banks.fft` cuts an image into."""
    return math.prod(ceil_div(layer.out_size[axis], _results(layer, axis)) for axis in (0, 1))


def _results(layer: Layer, axis: int) -> int:
    """Rows or columns of results that a block gives."""
    return ceil_div(block(layer)[axis] - layer.extent[axis] + 1, layer.stride[axis])


def _seconds(layer: Layer, method: str, workers: int, compiling: float) -> tuple[float, float]:
    """Predict the times of a method in one thread, and in several."""
    alone, shared = (1e-9 * nanoseconds for nanoseconds in _work(layer, method, workers))
    if layer.dtype.itemsize == 8:
        shared *= 2
    alone += 1e-9 * _SET_UP[method]
    if _needs_numba(method):
        alone += compiling
    if method == "definition":
        return alone + shared, alone + shared
    return alone + shared, alone + shared / workers + 1e-9 * _THREAD * (workers - 1)


def _work(layer: Layer, method: str, workers: int) -> tuple[float, float]:
    """Return nanoseconds of what one thread does first, and of what threads share."""
    samples = layer.images * layer.channels * math.prod(layer.size)
    results = layer.images * layer.maps * math.prod(layer.out_size)
    kernels = layer.maps * layer.channels // layer.groups
    pieces = layer.images * layer.groups
    rate = _PRODUCT[method]
    if method == "direct" and not layer.transposed:
        maps = layer.maps // layer.groups
        if layer.channels == layer.groups == layer.maps:
            rate = _ALONE
        elif maps < 4:
            rate = _FEW
    products = multiplications(layer, method) * rate
    if method == "definition":
        return 0.0, products
    if method == "direct":
        laid_out = _LAID_OUT * kernels * math.prod(layer.kernel)
        return laid_out, products + _MOVED * (samples + results)
    if method == "im2col":
        taps = math.prod(layer.kernel)
        columns = layer.images * layer.channels * taps * math.prod(layer.out_size)
        sizes = zip(layer.out_size, im2col.block(layer, workers), strict=True)
        copies = pieces * taps * math.prod(ceil_div(length, part) for length, part in sizes)
        moved = _COLUMN * columns + _RESULT * results + _PADDED * samples + _COPY * copies
        return 0.0, products + moved
    if method == "fft":
        area = math.prod(block(layer))
        halvings = math.log2(area)
        blocks = layer.images * (layer.channels + layer.maps) * _blocks(layer)
        strips = ceil_div(layer.out_size[0], _results(layer, 0))
        moved = _HALVED * halvings * area * blocks + _PIECE[method] * pieces * strips
        return _HALVED_WEIGHT * halvings * area * kernels, products + moved
    m = winograd.RESULTS[method]
    # The loop fills its blocks of maps up.
    maps = layer.maps // layer.groups
    products *= ceil_div(maps, BLOCK) * BLOCK / maps
    if not winograd.fits_cache(layer, m):
        products *= _SPILLED / rate
    moved = _TILED * (samples + results) + _PIECE[method] * pieces
    return _TILED_WEIGHT * (m + 2) ** 2 * kernels, products + moved


def _compiling(layer: Layer) -> float:
    """Predict the seconds that compiling costs a layer: a share, as `costs.loading` says."""
    name = "float64" if layer.dtype.itemsize == 8 else "float32"  # numpy's `name` is slow
    if machine_code.is_loaded("bank", name) or machine_code.is_kept("bank", name):
        return 0.0
    share = COMPILING / RUNS if machine_code.can_be_kept() else COMPILING
    return max(0.0, share - machine_code.missed("bank", name))
