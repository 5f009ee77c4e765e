"""Table 2 of run.py: whole processes that read and write files, against OpenCV and others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from race import IMAGEMAGICK, Row, command, peak_memory, photograph

from convcli.words import METHODS, Method

CONVCLI = [sys.executable, "-m", "convcli"]

# All write JPEG with the quality of the photographs (convcli and ImageMagick do by default).
QUALITY = 90

CV_BLUR = """
side = 2 * int(4 * {sigma} + 0.5) + 1
image = cv2.GaussianBlur(image, (side, side), {sigma}, borderType=cv2.BORDER_REFLECT)
"""
CV_EDGE = """
x, y = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
image = cv2.convertScaleAbs(cv2.magnitude(x, y), alpha=0.25)
"""
CV_FILE = """
import cv2
image = cv2.imread({source!r}, cv2.{mode})
{work}
cv2.imwrite({target!r}, image, [cv2.IMWRITE_JPEG_QUALITY, {quality}])
"""
CV_FOLDER = """
import cv2, os
for name in os.listdir({source!r}):
    image = cv2.imread(os.path.join({source!r}, name))
    side = 2 * int(4 * {sigma} + 0.5) + 1
    image = cv2.GaussianBlur(image, (side, side), {sigma}, borderType=cv2.BORDER_REFLECT)
    path = os.path.join({target!r}, name)
    cv2.imwrite(path, image, [cv2.IMWRITE_JPEG_QUALITY, {quality}])
"""


def cv_file(source: str, target: str, work: str, mode: str = "IMREAD_COLOR") -> list[str]:
    """Return the command that runs the OpenCV script for one image."""
    code = CV_FILE.format(source=source, target=target, work=work, mode=mode, quality=QUALITY)
    return [sys.executable, "-c", code]


def rows(method: Method, folder: Path) -> Iterator[Row]:
    """Make the images in `folder` and yield the rows of the table."""
    photos, out = folder / "photos", folder / "out"
    photos.mkdir()
    out.mkdir()
    names = ("photo.jpg", "photo.png", "photo.ppm", "small.jpg")
    jpeg, png, ppm, small = (str(folder / name) for name in names)
    large = Image.fromarray(photograph(6000, 4000))
    large.save(jpeg, quality=QUALITY)
    large.save(ppm)
    large.save(png, compress_level=1)  # faster to write; the pixels are the same
    Image.fromarray(photograph(1200, 800)).save(small, quality=QUALITY)
    for number in range(60):
        name = ("astronaut", "chelsea", "coffee")[number % 3]
        two = Image.fromarray(photograph(1728, 1152, name))
        two.save(photos / f"{number:02}.jpg", quality=QUALITY)

    def convcli(verb: str, *arguments: str, method: Method = method) -> list[str]:
        return [*CONVCLI, verb, *arguments, "--overwrite", "--method", method]

    def blur(source: str, sigma: int, method: Method = method) -> list[str]:
        target = str(out / f"convcli{Path(source).suffix}")
        return convcli("blur", source, "--sigma", str(sigma), "-o", target, method=method)

    def cv_blur(source: str, sigma: int) -> list[str]:
        target = str(out / f"opencv{Path(source).suffix}")
        return cv_file(source, target, CV_BLUR.format(sigma=sigma))

    for sigma in (3, 20):
        yield Row(
            f"24 MP JPEG, sigma {sigma}",
            command(blur(jpeg, sigma)),
            {"OpenCV": command(cv_blur(jpeg, sigma))},
        )
    edges = cv_file(jpeg, str(out / "edges.jpg"), CV_EDGE, "IMREAD_GRAYSCALE")
    yield Row(
        "24 MP JPEG, edge",
        command(convcli("edge", jpeg, "-o", str(out / "edge.jpg"))),
        {"OpenCV": command(edges)},
    )
    for name, source in (("PNG", png), ("PPM", ppm)):
        peers = {"OpenCV": command(cv_blur(source, 3))}
        yield Row(f"24 MP {name}, sigma 3", command(blur(source, 3)), peers)
    # An installed wheel brings compiled loops, a checkout does not.
    new = 'new=$(mktemp -d) && HOME=$new XDG_CACHE_HOME=$new "$@"; done=$?; rm -r $new; exit $done'
    yield Row(
        "24 MP JPEG, sigma 3, first run",
        command(["sh", "-c", new, "sh", *blur(jpeg, 3)]),
        {"convcli, later runs": command(blur(jpeg, 3))},
    )

    magick = ["-blur", "0x3", "-quality", str(QUALITY), str(out / "magick.jpg")]
    yield Row(
        "1 MP JPEG, sigma 3",
        command(blur(small, 3)),
        {
            "ImageMagick": command([IMAGEMAGICK, small, *magick]),
            "GraphicsMagick": command(["gm", "convert", small, *magick]),
            "vips": command(["vips", "gaussblur", small, f"{out}/vips.jpg[Q={QUALITY}]", "3"]),
            "OpenCV": command(cv_blur(small, 3)),
        },
    )
    settings = {"source": str(photos), "target": str(out), "sigma": 3, "quality": QUALITY}
    vips = f"ls | xargs -P2 -I% vips gaussblur % {out}/%[Q={QUALITY}] 3"
    yield Row(
        "60 JPEGs of 2 MP, sigma 3",
        command(convcli("blur", str(photos), "-r", "--sigma", "3", "-o", str(out))),
        {
            "OpenCV": command([sys.executable, "-c", CV_FOLDER.format(**settings)]),
            "vips": command(["sh", "-c", f"cd {photos} && {vips}"]),
        },
    )
    start = {"python -c pass": command([sys.executable, "-c", "pass"])}
    for word in ("--version", "--help"):
        yield Row(f"convcli {word}", command([*CONVCLI, word]), start)
    for each in METHODS:
        yield Row(
            f"peak memory, 24 MP JPEG, {each}",
            peak_memory(blur(jpeg, 3, each)),
            {"OpenCV": peak_memory(cv_blur(jpeg, 3))},
            unit="MB",
        )
