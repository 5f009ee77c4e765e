"""A stage of a chain: a filter and its border, without an image."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convcli.checks import described, flag, word
from convcli.errors import ConvcliError
from convcli.filtering.definitions import blurring, convolving, edges, sharpening
from convcli.filtering.filter import Filter
from convcli.filtering.options import Options
from convcli.kernels.kernel import Kernel
from convcli.pixels import borders
from convcli.words import Border, listed

_DEFINITIONS: dict[str, Callable[..., Filter]] = {
    "blur": blurring,
    "edge": edges,
    "sharpen": sharpening,
    "convolve": convolving,
}
# What the command line calls `convolve`.
_ALSO = {"filter": "convolve"}
_NAMES = (*_DEFINITIONS, *_ALSO, "bank")


def _definition(name: str) -> Callable[..., Filter]:
    if name == "bank":
        from convcli.filtering.banking import banking  # other filters start without banks

        return banking
    return _DEFINITIONS[_ALSO.get(name, name)]


@dataclass(frozen=True)
class Stage:
    """A stage of a chain; make one with `convcli.stage`.

    Attributes
    ----------
    words : str
        What it does, for people: "blur sigma=2".
    filter : Filter
        What it does.
    border : str, optional
        What lies beyond the edge of the stage before; without it, the border of the chain.
    border_value : float, optional
        The value there under ``border="constant"``.
    exact : bool
        Take the kernel's weights as they are.
    """

    words: str
    filter: Filter
    border: Border | None = None
    border_value: float | None = None
    exact: bool = False

    def options(self, given: Options) -> Options:
        """Return the options of a chain with what the stage has of its own."""
        own = Options(**given)
        if self.border is not None:
            own["border"] = self.border
        if self.border_value is not None:
            own["border_value"] = self.border_value
        if self.exact:
            own["exact"] = True
        return own


def stage(
    name: str,
    /,
    *arguments: Any,
    border: Border | None = None,
    border_value: float | None = None,
    exact: bool = False,
    **own: Any,
) -> Stage:
    """Make a stage for `convcli.chain`.

    Parameters
    ----------
    name : {"blur", "edge", "sharpen", "convolve", "bank"}
        The filter; "filter", as on the command line, is "convolve". "bank" takes the name of a bank
        or an array of weights, and the options of ``convcli bank`` by name; its maps must be an
        image: one of the luminance, or one of each colour.
    *arguments, **own
        Its own arguments, as those of the function of this name after the image. "convolve" also
        takes ``stride=n``, which keeps every n-th pixel of each axis.
    border, border_value
        What lies beyond the edge of what the stage before makes, if it is not what the chain says.
    exact : bool
        Take the weights of the kernel as they are; the whole chain is summed in float64 then.

    Returns
    -------
    Stage
        It can be used for any number of images.

    Raises
    ------
    ConvcliError
        For an unknown name or argument, or a value that is not valid.

    Examples
    --------
    >>> import convcli
    >>> convcli.stage("blur", sigma=2, border="wrap").words
    'blur sigma=2'
    """
    word(name, "stage", _NAMES)
    define = _definition(name)
    try:
        inspect.signature(define).bind(*arguments, **own)
    except TypeError as error:
        takes = listed((*inspect.signature(define).parameters, "border", "border_value", "exact"))
        raise ConvcliError(f"stage {name!r}: {error}; it takes {takes}") from None
    if border is not None:
        borders.check(border)
    if border_value is not None:
        border_value = borders.checked_value(border_value)
    words = [*map(_words, arguments), *(f"{key}={_words(own[key])}" for key in own)]
    return Stage(
        " ".join([name, *words]),
        define(*arguments, **own),
        border,
        border_value,
        flag(exact, "exact"),
    )


def _words(value: Any) -> str:
    return value.name if isinstance(value, Kernel) else described(value)
