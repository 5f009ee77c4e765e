"""Every layout of a TIFF is read right or refused by name, with the extra `deep` and without it."""

from __future__ import annotations

import itertools

import numpy as np

from convcli.image import read
from tests.image import tiffs

WIDTH, HEIGHT = 21, 19

# From stored pixels to the upright image, by orientation (TIFF 6.0, page 36).
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}

KINDS = [(1, 1), (2, 1), (4, 1), (8, 1), (12, 1), (16, 1), (32, 1), (64, 1), (8, 2), (16, 2),
         (32, 2), (64, 2), (16, 3), (32, 3), (64, 3)]  # fmt: skip
COMPRESSIONS = [tiffs.NONE, tiffs.LZW, tiffs.DEFLATE, tiffs.PACKBITS, tiffs.JPEG, tiffs.LZMA,
                tiffs.ZSTD]  # fmt: skip
COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3}
EXTRA = [(), (0,), (1,), (2,), (0, 0), (0, 2)]

CASES = [
    case
    for case in itertools.product(
        "<>", COMPRESSIONS, (1, 2, 3), (False, True), (None, 16), KINDS, COLOURS, EXTRA, range(1, 9)
    )
    if (case[1] != tiffs.JPEG or (case[5] == (8, 1) and case[2] == 1 and not case[7]))
    and (case[2] == 1 or case[1] in (tiffs.LZW, tiffs.DEFLATE, tiffs.LZMA, tiffs.ZSTD))
    and (case[2] != 2 or case[5][0] in (8, 16, 32, 64))
    and (case[2] != 3 or case[5][1] == 3)
]


def samples_of(photometric, bits, form, count):
    """Samples that look like a photograph in JPEG, with the bounds and low bits of their kind."""
    rows, columns, bands = np.mgrid[:HEIGHT, :WIDTH, :count]
    smooth = (20 + 4 * rows + 3 * columns + 13 * bands) / 256
    if form == 3:
        return (smooth * 3 - 1).astype(f"f{bits // 8}")
    if form == 2:
        return ((smooth - 0.5) * 2.0 ** min(bits, 32)).astype(f"i{bits // 8}")
    values = np.rint(smooth * (2 ** min(bits, 31) - 1)).astype(np.uint64)
    return values ^ (rows % 2).astype(np.uint64) if bits > 8 else values


def map_of(bits):
    levels = np.arange(1 << bits, dtype=np.uint64) * 65535 // ((1 << bits) - 1)
    return [*levels, *levels[::-1], *(levels // 2)]


def expected(samples, photometric, bits, form, extra):
    """The pixels by TIFF 6.0 as floats, of 0 to 1 where they are unsigned, and their range."""
    colours = COLOURS[photometric]
    most = float(2**bits - 1)
    samples = samples if form == 1 else samples.astype(float)
    if photometric == 3:
        table = np.array(map_of(bits)).reshape(3, -1).T // 256 / 255
        pixels = table[samples[..., 0].astype(int)]
    elif photometric == 6:
        luma, blue, red = np.moveaxis(samples.astype(float), -1, 0)[:3]
        blue, red = blue - 128, red - 128
        pixels = np.stack(
            [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], -1
        )
        pixels = np.clip(pixels, 0, 255) / 255
    elif form == 1 and bits <= 16:
        pixels = samples[..., :colours] / most
    else:
        pixels = samples[..., :colours].astype(float)
    if photometric == 8:
        pixels[..., 1:] = (samples[..., 1:3].astype(np.uint8) + np.uint8(128)) / 255
    alpha = None
    for at, kind in enumerate(extra):
        if kind and alpha is None:
            alpha = samples[..., colours + at : colours + at + 1] / most
            if kind == 1:
                pixels = np.clip(pixels / np.maximum(alpha, 1 / most), 0, 1)
    if photometric == 0:
        is_unsigned = form == 1
        pixels = (1 if bits <= 16 else most) - pixels if is_unsigned else (
            -1 - pixels if form == 2 else 1 - pixels
        )  # fmt: skip
    return pixels, alpha


def content_of(case):
    order, compression, predictor, planes, tile, (bits, form), photometric, extra, turn = case
    count = COLOURS[photometric] + len(extra)
    samples = samples_of(photometric, bits, form, count)
    tags = {320: (3, map_of(bits))} if photometric == 3 and bits <= 16 else {}
    tags |= {530: (3, [1, 1])} if photometric == 6 else {}
    page = tiffs.page_of(
        samples, photometric, order=order, compression=compression, predictor=predictor,
        planes=planes, tile=tile, bits=bits, form=form, extra=extra, orientation=turn, tags=tags,
    )  # fmt: skip
    return samples, tiffs.file_of(page, order=order)


def mismatch(case, source):
    """Return how a file is read wrong, or "" if it is read right; refusals are raised."""
    _, compression, _, _, _, (bits, form), photometric, extra, turn = case
    samples, content = content_of(case)
    source.write_bytes(content)
    picture = read(source)
    pixels, alpha = expected(samples, photometric, bits, form, extra)
    got = picture.pixels.astype(float)
    got = got[..., None] if got.ndim == 2 else got
    pixels = UPRIGHT[turn](pixels)
    if picture.mode == "I;16" and bits < 16:
        pixels = pixels * (2**bits - 1)
    elif picture.mode not in ("I", "F"):
        most = 65535 if picture.mode.endswith(";16") else 255
        pixels = pixels * most
        alpha = None if alpha is None else UPRIGHT[turn](alpha) * most
    if picture.mode.removesuffix(";16") in ("LA", "RGBA"):
        if alpha is None:
            return "invented an alpha"
        pixels = np.concatenate([pixels, alpha], axis=-1)
    elif alpha is not None and not any("extra sample" in note for note in picture.notes):
        return "lost its alpha without a note"
    if got.shape != pixels.shape:
        return f"shape {got.shape} for {pixels.shape}"
    allowed = 8.0 if compression == tiffs.JPEG else 1.01 if picture.mode not in ("I", "F") else 0.0
    allowed += {"F": 1e-6}.get(picture.mode, 0)
    worst = np.abs(got - pixels).max()
    return "" if worst <= allowed else f"{picture.mode} differs by {worst}"
