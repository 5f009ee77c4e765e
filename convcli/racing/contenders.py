"""The contenders of a race: the methods, the classical loops, and other packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from convcli.banks.plan import BankPlan
from convcli.errors import ConvcliError
from convcli.kernels.kernel import Kernel
from convcli.loops.contract import load
from convcli.pixels.colour import Colour, full_scale
from convcli.pixels.source import ArraySource
from convcli.planning.methods import PRESETS
from convcli.planning.plan import Form, Plan, Task
from convcli.racing import peers
from convcli.racing.oracle import Oracle, oracle_for
from convcli.running.execute import filter_source
from convcli.running.packages import ready_plan
from convcli.running.recipe import Recipe, halo_of
from convcli.types import Pixels
from convcli.words import Method, suggested

Work = Callable[[Any, Any], Pixels]
"""Convolve an image ``(H, W, C)`` with the border "reflect"; the output has its dtype.

In a race of banks it is given what `Contender.laid_out` makes of the image, and weights."""


class Contender(NamedTuple):
    """One row of the table of contenders.

    Attributes
    ----------
    kind, form : str
        As in `convcli.racing.results.Result`.
    work : callable
        The function that is timed.
    takes : callable
        Whether it supports a kernel.
    packages : tuple of str
        Packages that must be installed.
    plan : callable, optional
        ``plan(shape, dtype, kernel)`` of a method, which predicts its time.
    memory_is_seen : bool
        Whether tracemalloc sees its memory without slowing it down, as it does numpy's.
    laid_out : callable
        Makes of an image what the work is given, which is not timed.
    """

    kind: str
    form: str
    work: Work
    takes: Callable[[Any], bool] = lambda _kernel: True
    packages: tuple[str, ...] = ()
    plan: Callable[..., Plan | BankPlan] | None = None
    memory_is_seen: bool = True
    laid_out: Callable[[Pixels], Any] = lambda picture: picture

    @property
    def is_installed(self) -> bool:
        """Whether all its packages are installed."""
        return all(find_spec(package) is not None for package in self.packages)


# Plans share start-up among this many images, so that none of it counts: races begin warm.
_WARM = 10**9


def _plan(word: Method, form: Form, shape: Sequence[int], dtype: DTypeLike, kernel: Kernel) -> Plan:
    kernels = (kernel.flipped,)
    return ready_plan(Task(tuple(shape), np.dtype(dtype), kernels, word, images=_WARM, form=form))


def _run(plan: Plan, picture: Pixels, kernel: Kernel) -> Pixels:
    """Execute a plan with the kernel as it is; folded, it would be a different algorithm."""
    recipe = Recipe(
        kernels=(kernel.flipped,),
        halo=halo_of(kernel.shape, correlate=False),
        border="reflect",
        border_value=0.0,
        colour=Colour(full_scale(picture.dtype)),
        combine=None,
        out_dtype=picture.dtype,
    )
    return np.asarray(filter_source(plan, recipe, ArraySource(picture), None))


def _by_method(word: Method, form: Form, picture: Pixels, kernel: Kernel) -> Pixels:
    return _run(_plan(word, form, picture.shape, picture.dtype, kernel), picture, kernel)


def _by_loop(loop: str, picture: Pixels, kernel: Kernel) -> Pixels:
    """Run a loop as textbooks do: over the whole image at once, in one thread."""
    whole = picture.shape[0], picture.shape[1]
    task = Task(picture.shape, picture.dtype, (kernel.flipped,), "numpy", 1, form="dense")
    plan = ready_plan(task)
    route = plan.route._replace(loop=loop, regions=whole, tile=whole)
    return _run(replace(plan, route=route), picture, kernel)


def _pays_in_factors(kernel: Kernel) -> bool:
    """Whether the kernel's factors have fewer weights than the kernel."""
    factors = kernel.cheap_factors
    return factors is not None and len(factors) * sum(kernel.shape) < kernel.taps


def _method(word: Method, form: Form) -> Contender:
    package = PRESETS[word].package
    return Contender(
        "method",
        form,
        partial(_by_method, word, form),
        takes=_pays_in_factors if form == "separable" else lambda _kernel: True,
        packages=(package,) if package else (),
        plan=partial(_plan, word, form),
        memory_is_seen=PRESETS[word].executor == "threads",
    )


def _classical(loop: str) -> Contender:
    def takes(kernel: Kernel) -> bool:
        return load(loop).kernel_shape in (None, kernel.shape)

    return Contender("classical", "dense", partial(_by_loop, loop), takes)


def _peer(work: Work, *packages: str) -> Contender:
    return Contender("peer", "dense", work, packages=packages)


# A product takes the definition 2 to 4 microseconds: a pixel of so many takes a second.
_MOST_DEFINED = 2**18

CONTENDERS: dict[str, Contender] = {
    **{word: _method(word, "separable") for word in PRESETS},
    **{f"{word} dense": _method(word, "dense") for word in PRESETS},
    # It creates objects for every weight: tracing would make it 8 times slower.
    "definition": _classical("definition")._replace(
        memory_is_seen=False, takes=lambda kernel: kernel.taps <= _MOST_DEFINED
    ),
    "dot": _classical("dot"),
    "windows": _classical("windows"),
    "im2col": _classical("im2col"),
    "fft-whole": _classical("fft_whole"),
    "winograd": _classical("winograd"),
    "winograd-4x4": _classical("winograd_4x4"),
    "scipy.ndimage": _peer(peers.ndimage, "scipy"),
    "scipy.fftconvolve": _peer(peers.fftconvolve, "scipy"),
    "scipy.oaconvolve": _peer(peers.oaconvolve, "scipy"),
    "cv2.filter2D": _peer(peers.filter2d, "cv2")._replace(memory_is_seen=False),
    "skimage": _peer(peers.gaussian, "skimage")._replace(
        form="separable", takes=lambda kernel: peers.kernel_sigma(kernel) is not None
    ),
}
"""All contenders by name; `bench` runs them and the tests check them."""


class Field(NamedTuple):
    """What a race is about: who takes part, and what is right.

    Attributes
    ----------
    contenders : mapping
        By their names.
    oracle_for : callable
        As `convcli.racing.oracle.oracle_for`.
    always : str
        A contender that is always installed and accepts anything.
    has_images : bool
        Whether outputs are images to look at.
    """

    contenders: Mapping[str, Contender]
    oracle_for: Callable[..., Oracle]
    always: str
    has_images: bool


FILTERS = Field(CONTENDERS, oracle_for, always="numpy-dense", has_images=True)
"""What a race of filters is about."""


def chosen(
    words: Sequence[str], contenders: Mapping[str, Contender] = CONTENDERS
) -> tuple[str, ...]:
    """Return the names of contenders as `contenders` has them, all if none is given.

    "Numba-Dense" stands for "numba dense".

    Raises
    ------
    ConvcliError
        For an unknown name; the message lists the known ones.
    """
    known = {name.replace(" ", "-").lower(): name for name in contenders}
    keys = [word.strip().replace(" ", "-").lower() for word in words] or list(known)
    for word, key in zip(words, keys, strict=False):
        if key not in known:
            rest = suggested(key, known) or f"; choose from {', '.join(known)}"
            raise ConvcliError(f"unknown contender {word!r}{rest}")
    return tuple(dict.fromkeys(known[key] for key in keys))
