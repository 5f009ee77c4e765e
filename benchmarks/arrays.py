"""Table 1 of run.py: array to array, against OpenCV with the same taps and all its threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from race import INSTALLED, Measure, Row, photograph, timed

import convcli
from convcli.types import Floats, Pixels
from convcli.words import METHODS, Method

if INSTALLED["OpenCV"]:
    import cv2

WIDTH, HEIGHT = 6000, 4000  # 24 megapixels


Picture = Callable[[], Pixels]
"""Makes an image on its first call, so that `--only` does not wait for the others."""


def grey() -> Pixels:
    """Return the 24-megapixel photograph in grey."""
    return photograph(WIDTH, HEIGHT, grey=True)


def rgb() -> Pixels:
    """Return the 24-megapixel photograph in colour."""
    return photograph(WIDTH, HEIGHT)


@cache
def floats() -> Floats:
    """Return the grey photograph in float32."""
    return np.asarray(grey(), np.float32)


@cache
def dense(side: int) -> Floats:
    """Return a kernel that is not separable and sums to one."""
    weights = np.random.default_rng(side).random((side, side))
    weights /= weights.sum()
    return weights


def cv_blur(picture: Picture, sigma: float) -> None:
    """Blur with OpenCV and convcli's taps: cut at int(4 sigma + 0.5) pixels."""
    side = 2 * int(4 * sigma + 0.5) + 1
    cv2.GaussianBlur(picture(), (side, side), sigma, borderType=cv2.BORDER_REFLECT)


def cv_dense(picture: Picture, side: int) -> None:
    """Correlate with OpenCV, which switches to a DFT by itself."""
    weights = dense(side).astype(np.float32)
    cv2.filter2D(picture(), -1, weights, borderType=cv2.BORDER_REFLECT)


def cv_edge(picture: Picture) -> None:
    """Make the Sobel magnitude, scaled as convcli scales it."""
    x = cv2.Sobel(picture(), cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REFLECT)
    y = cv2.Sobel(picture(), cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REFLECT)
    cv2.convertScaleAbs(cv2.magnitude(x, y), alpha=0.25)


def rows(method: Method) -> Iterator[Row]:
    """Yield the rows of the table; `method` is convcli's in rows that name none."""

    def blur(picture: Picture, sigma: float, method: Method = method) -> None:
        convcli.blur(picture(), sigma, method=method)

    def correlate(picture: Picture, side: int) -> None:
        convcli.convolve(picture(), dense(side), correlate=True, method=method)

    def edge(picture: Picture) -> None:
        convcli.edge(picture(), method=method)

    for sigma in (1, 3, 8, 20, 100):
        for name, picture in (("grey", grey), ("RGB", rgb)):
            if (sigma, name) == (100, "RGB"):
                continue  # takes OpenCV 90 s and adds no information
            yield Row(
                f"blur sigma {sigma}, {name}",
                timed(blur, picture, sigma),
                {"OpenCV": timed(cv_blur, picture, sigma)},
            )
    for sigma in (3, 20):
        yield Row(
            f"blur sigma {sigma}, grey float32",
            timed(blur, floats, sigma),
            {"OpenCV": timed(cv_blur, floats, sigma)},
        )
    for side in (3, 5, 9, 15, 31, 63, 127):
        yield Row(
            f"dense {side}x{side}, grey",
            timed(correlate, grey, side),
            {"OpenCV": timed(cv_dense, grey, side)},
        )
    yield Row("Sobel magnitude, grey", timed(edge, grey), {"OpenCV": timed(cv_edge, grey)})
    sigma_5 = {"convcli, sigma 5": timed(blur, grey, 5)}
    yield Row("blur sigma 200, grey", timed(blur, grey, 200), sigma_5)

    def blurs(number: int, side: int) -> Measure:
        def work() -> None:
            for _ in range(number):
                blur(partial(photograph, side, side, grey=True), 3)

        return timed(work)

    # Both sides have the same number of pixels, so the ratio compares the cost of one pixel.
    yield Row("blur sigma 3, 25 of 1 MP", blurs(25, 1000), {"convcli, 1 of 25 MP": blurs(1, 5000)})
    yield Row("blur sigma 3, 1 of 100 MP", blurs(1, 10000), {"convcli, 4 of 25 MP": blurs(4, 5000)})

    def tiled(workers: int) -> Measure:
        return timed(lambda: convcli.convolve(grey(), dense(31), method="tiled", workers=workers))

    yield Row("tiled dense 31x31, 2 workers", tiled(2), {"convcli, 1 worker": tiled(1)})
    for each in METHODS:
        yield Row(
            f"blur sigma 3, RGB, {each}",
            timed(blur, rgb, 3, each),
            {"OpenCV": timed(cv_blur, rgb, 3)},
        )
