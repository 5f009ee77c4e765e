"""What ``edge`` is asked for: which arguments go together, and the kernels that they mean."""

from __future__ import annotations

from convcli.checks import positive, word
from convcli.errors import ConvcliError
from convcli.kernels.edges import gradient_kernels, laplacian_of, smoothed_kernels
from convcli.kernels.kernel import Kernel
from convcli.words import OPERATORS, SHOWS, Operator, Show


def kernels_for(
    operator: Operator | None, show: Show, sigma: float | None, is_thin: bool
) -> tuple[Kernel, ...]:
    """Return the kernels of `convcli.edge`: one for x, y and the Laplacian, else two.

    Raises
    ------
    ConvcliError
        For arguments that are not valid, or have no effect beside each other.
    """
    word(show, "show", SHOWS)
    if operator is not None:
        word(operator, "operator", OPERATORS)
    if operator is not None and (sigma is not None or show == "laplacian"):
        other = "sigma, which takes derivatives of a Gaussian" if sigma is not None else "laplacian"
        raise ConvcliError(f"operator has no effect beside {other}; leave one out")
    sigma = None if sigma is None else positive(sigma, "sigma")
    if is_thin and show != "magnitude":
        raise ConvcliError(f"canny finds thin edges, which have no {show}; leave one out")
    if is_thin:
        return smoothed_kernels(operator or "sobel", sigma)
    if show == "laplacian":
        return (laplacian_of(sigma),)
    along_x, along_y = gradient_kernels(operator or "sobel", sigma)
    return {"x": (along_x,), "y": (along_y,)}.get(show, (along_x, along_y))
