"""A fuzzing target: bytes are read as an image, filtered, and written again.

``python tests/whole/fuzz_pictures.py -max_total_time=600`` runs it with atheris (extra ``fuzz``);
tests/whole/test_fuzz.py runs it on earlier findings, and on damaged images of every format.
"""

from __future__ import annotations

import io
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

import convcli
from convcli import ConvcliError, image
from convcli.files import formats
from convcli.files.formats import FORMATS

BY_PILLOW = {name: FORMATS[name] for name in formats.BY_PILLOW}

# Larger images would be slow, and find nothing more.
MOST_PIXELS = 1 << 16
MOST_FRAMES = 20


def seeds() -> dict[str, bytes]:
    """Make small images of every format, mode and number of frames, by name."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (13, 17, 3), dtype=np.uint8))
    clear = colour.copy()
    clear.putalpha(colour.convert("L"))
    deep = Image.fromarray(rng.integers(0, 65536, (13, 17), dtype=np.uint16))
    others = [colour.rotate(angle) for angle in (90, 180)]
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Leitz"
    made = {
        f"{name}-{source.mode}": (name, source, {})
        for name, row in BY_PILLOW.items()
        for source in (colour, clear, deep, colour.convert("L"), colour.convert("P"))
        if source.mode in (*row.modes, "P") and (name, source.mode) not in NO_PALETTES
    }
    for name, row in BY_PILLOW.items():
        if row.frames:
            made[f"{name}-frames"] = (name, colour, {"save_all": True, "append_images": others})
        if "exif" in row.metadata:
            made[f"{name}-exif"] = (name, colour, {"exif": exif})
    made["TIFF-lzw"] = ("TIFF", colour, {"compression": "tiff_lzw"})
    made["TIFF-LAB"] = ("TIFF", colour.convert("RGB").convert("LAB"), {})
    made["WEBP-lossless"] = ("WEBP", clear, {"lossless": True})
    made["JPEG-progressive"] = ("JPEG", colour, {"progressive": True})
    encoded = {}
    for key, (name, source, settings) in made.items():
        content = io.BytesIO()
        source.save(content, name, **settings)
        encoded[key] = content.getvalue()
    samples = rng.integers(0, 65536, (13, 17, 4), dtype=np.uint16)
    encoded["PNG-deep"] = imagecodecs.png_encode(samples)
    encoded["TIFF-deep"] = tifffile_bytes(samples, extrasamples=("assocalpha",))
    encoded["TIFF-planes"] = tifffile_bytes(np.moveaxis(samples[..., :3], -1, 0).copy())
    floats = (samples[..., :3] / 65535).astype(np.float32)
    encoded["TIFF-floats"] = tifffile_bytes(floats, compression="zlib", predictor=True)
    encoded["TIFF-signed"] = tifffile_bytes(samples[..., :3].view(np.int16).copy())
    for key, (name, mode, pixels) in {
        "PPM-deep": ("PPM", "RGB;16", samples[..., :3]),
        "PAM-RGBA": ("PAM", "RGBA;16", samples),
        "NPY-RGB": ("NPY", "RGB", np.asarray(colour)),
        "NPY-floats": ("NPY", "RGB;32F", floats),
        "EXR-RGB": ("EXR", "RGB;32F", floats),
    }.items():
        content = io.BytesIO()
        image.write(image.Picture(pixels, mode, name), content, name)
        encoded[key] = content.getvalue()
    for sampling, size in {"420": 13 * 17 + 2 * 7 * 9, "444p10": 2 * 3 * 13 * 17}.items():
        frame = b"FRAME\n" + rng.integers(0, 4, size, dtype=np.uint8).tobytes()
        encoded[f"Y4M-{sampling}"] = (
            b"YUV4MPEG2 W17 H13 F25:1 C%s\n" % sampling.encode() + 2 * frame
        )
    return encoded


def tifffile_bytes(samples: np.ndarray, **settings: object) -> bytes:
    """Encode 16-bit colour, which Pillow cannot write as TIFF."""
    content = io.BytesIO()
    tifffile.imwrite(content, samples, photometric="rgb", **settings)
    return content.getvalue()


NO_PALETTES = {("JPEG", "P"), ("PPM", "P"), ("AVIF", "P"), ("WEBP", "P")}

FILTERS = (
    lambda pixels: convcli.blur(pixels, 1.5, method="numpy"),
    lambda pixels: convcli.sharpen(pixels, method="numpy", linear=pixels.dtype.kind == "u"),
    lambda pixels: convcli.edge(pixels, method="numpy"),
    lambda pixels: convcli.blur(pixels, 9.0, method="numpy", border="wrap"),
)


def one_input(data: bytes) -> str:
    """Read, filter and write; return what happened.

    Raises
    ------
    Exception
        Anything but a refusal: a bug.
    """
    choice, content = (data[0] if data else 0), data[1:]
    target = (None, *FORMATS)[choice % (1 + len(FORMATS))]
    apply = FILTERS[choice // 16 % len(FILTERS)]
    grey = "L" if apply is FILTERS[2] else None

    def filtered(picture: image.Picture) -> image.Picture:
        return picture.with_pixels(apply(picture.pixels))

    try:
        picture = image.read(content, target, grey=grey, luma=grey == "L")
        if picture.frames > MOST_FRAMES:
            return "too many frames"
        result = replace(filtered(picture), later=map(filtered, picture.later))
        image.write(result, io.BytesIO(), target or picture.format)
    except ConvcliError as refused:
        message = str(refused)
        assert message, "a refusal without a reason"
        assert "BytesIO" not in message, message
        # Readers leave out what they know to be wrong, with a note.
        assert "due to its metadata, which --strip drops" not in message, message
        return "refused"
    except OSError:  # of an encoder; a line of the program's, too
        return "failed"
    return "written"


def main() -> None:
    """Fuzz, from seeds in a folder of their own."""
    import tempfile

    import atheris

    atheris.instrument_all()
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, content) in enumerate(seeds().items()):
            Path(folder, name).write_bytes(bytes([number * 7 % 256]) + content)
        atheris.Setup([*sys.argv, folder], one_input)
        atheris.Fuzz()


def prepare() -> None:
    """Set the limits under which the target runs."""
    warnings.simplefilter("ignore")
    image.limit_pixels(MOST_PIXELS)


if __name__ == "__main__":
    prepare()
    main()
