"""Every layout of a TIFF is read right or refused by name, with the extra `deep` and without it."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pytest

from convcli import ConvcliError
from convcli.image import deep, read, tiff_layout, tiff_reading
from convcli.image.picture import WITH_ALPHA
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


def is_written(case):
    """Whether such a file exists: predictors and JPEG do not go with everything."""
    _, compression, predictor, _, _, (bits, form), _, extra, _ = case
    if compression == tiffs.JPEG:
        return (bits, form, predictor, extra) == (8, 1, 1, ())
    if predictor != 1 and compression in (tiffs.NONE, tiffs.PACKBITS):
        return False
    return predictor == 1 or (bits >= 8 and bits != 12 if predictor == 2 else form == 3)


def is_held(case):
    """Whether a mode holds every sample, so that the file is read if `deep` is installed."""
    _, compression, *_, (bits, form), photometric, extra, _ = case
    is_grey = photometric < 2
    is_one = is_grey and len(extra) - (2 in extra or 1 in extra) < 2
    if not is_one and (form, bits) in ((1, 32), (1, 64), (2, 32), (2, 64)):
        return False
    if photometric == 0 and form == 1 and bits > 16:  # the whites exceed signed integers
        return False
    if photometric > 2 and (form != 1 or bits > 16):
        return False
    if 1 in extra and (photometric > 2 or form != 1 or bits > 16):
        return False
    if compression == tiffs.JPEG and photometric in (3, 8, 9):
        return False
    allowed = {5: (8, 16), 6: (8,), 8: (8,), 9: (8,)}
    return bits in allowed.get(photometric, (bits,))


EVERY = (
    "<>", COMPRESSIONS, (1, 2, 3), (False, True), (None, 16), KINDS, list(COLOURS), EXTRA,
    range(1, 9),
)  # fmt: skip


def cases(seed, wanted, count):
    """Choose cases at random."""
    chance = random.Random(seed)
    found = []
    while len(found) < count:
        case = tuple(chance.choice(each) for each in EVERY)
        if is_written(case) and wanted(case):
            found.append(case)
    return found


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


def content_of(case, big=False):
    order, compression, predictor, planes, tile, (bits, form), photometric, extra, turn = case
    count = COLOURS[photometric] + len(extra)
    samples = samples_of(photometric, bits, form, count)
    tags = {320: (3, map_of(bits))} if photometric == 3 and bits <= 16 else {}
    tags |= {530: (3, [1, 1])} if photometric == 6 else {}
    page = tiffs.page_of(
        samples, photometric, order=order, compression=compression, predictor=predictor,
        planes=planes, tile=tile, bits=bits, form=form, extra=extra, orientation=turn, tags=tags,
        rows=64 if turn in (6, 7) else 4,
    )  # fmt: skip
    return samples, tiffs.file_of(page, order=order, big=big)


def mismatch(case, source, big=False):
    """Return how a file is read wrong, or "" if it is read right; refusals are raised."""
    _, compression, _, _, _, (bits, form), photometric, extra, turn = case
    samples, content = content_of(case, big)
    source.write_bytes(content)
    picture = read(source)
    pixels, alpha = expected(samples, photometric, bits, form, extra)
    got = picture.pixels.astype(float)
    got = got[..., None] if got.ndim == 2 else got
    pixels = UPRIGHT[turn](pixels)
    is_plain = picture.mode in ("I", "F") or picture.mode.endswith(("S", "F"))
    most = 2**bits - 1
    if picture.mode[0].isdigit():
        pixels, alpha = UPRIGHT[turn](samples.astype(float)), None
        if photometric == 0:
            pixels = {1: most, 2: -1, 3: 1}[form] - pixels
    elif picture.mode == "I;16" and bits < 16:
        pixels = pixels * most
    elif is_plain:
        alpha = None if alpha is None else UPRIGHT[turn](alpha) * float(most)
    else:
        most = 65535 if picture.mode.endswith(";16") else 255
        pixels = pixels * most
        alpha = None if alpha is None else UPRIGHT[turn](alpha) * most
    if picture.mode in WITH_ALPHA:
        if alpha is None:
            return "invented an alpha"
        pixels = np.concatenate([pixels, alpha], axis=-1)
    elif alpha is not None and not any("extra sample" in note for note in picture.notes):
        return "lost its alpha without a note"
    if got.shape != pixels.shape:
        return f"shape {got.shape} for {pixels.shape}"
    allowed = 8.0 if compression == tiffs.JPEG else 0.0 if is_plain else 1.01
    allowed += 2e-6 if is_plain and picture.pixels.dtype == np.float32 else 0
    worst = np.abs(got - pixels).max()
    return "" if worst <= allowed else f"{picture.mode} differs by {worst}"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


@pytest.fixture
def without_deep(monkeypatch):
    monkeypatch.setattr(deep, "installed", lambda: False)


def test_whatever_a_mode_holds_is_read_right(path):
    for case in cases(1, is_held, 480):
        assert (case, mismatch(case, path, big=case[-1] == 3)) == (case, "")


def test_whatever_no_mode_holds_is_refused_by_name(path):
    for case in cases(2, lambda case: not is_held(case), 150):
        path.write_bytes(content_of(case)[1])
        with pytest.raises(ConvcliError, match=r"^(is a (JPEG in a )?TIFF of|has integer samples)"):
            read(path)


@pytest.mark.usefixtures("without_deep")
def test_without_deep_it_is_read_right_or_refused(path):
    outcomes = [outcome_of(case, path) for case in cases(3, is_held, 360)]
    refused = [text for text in outcomes if text.startswith("is a TIFF of ")]
    assert all("not decode right; to read it, install the extra 'deep'" in text for text in refused)
    assert outcomes.count("") + len(refused) == 360
    assert min(outcomes.count(""), len(refused)) > 40


def outcome_of(case, path):
    """Return "" for a case that is read right, and else its refusal or how it differs."""
    try:
        return mismatch(case, path)
    except ConvcliError as error:
        return str(error)


@pytest.mark.usefixtures("without_deep")
@pytest.mark.parametrize("row", tiff_reading.PILLOW, ids=itertools.count())
def test_each_row_of_what_pillow_reads_is_right(row, path):
    turns = itertools.cycle(range(1, 9))
    count = 0
    for order, compression, predictor, planes, tile, photometric, bits, extra in itertools.product(
        row.order, row.compression, (1, 2, 3), (False, True), (None, 16), row.photometric,
        row.bits, row.extra,
    ):  # fmt: skip
        kind = (bits, row.formats[0])
        case = (order, compression, predictor, planes, tile, kind, photometric, extra, next(turns))
        is_fax = compression in (*tiff_layout.FAX, tiffs.OLD_JPEG)  # see the tests below
        if is_fax or not is_written(case) or (planes and compression not in row.planes):
            continue
        assert (case, mismatch(case, path)) == (case, "")
        count += 1
    assert count >= 4


def test_damaged_bytes_are_refused_in_one_line(path):
    """Most of the changes are in the directories, which stand at the end."""
    chance = random.Random(4)
    contents = [content_of(case, big=case[-1] == 3)[1] for case in cases(5, is_held, 60)]
    for _ in range(500):
        content = bytearray(chance.choice(contents))
        first = 0 if chance.random() < 0.2 else max(0, len(content) - 400)
        for _ in range(chance.choice((1, 2, 5))):
            content[chance.randrange(first, len(content))] = chance.choice((0, 1, 2, 255, 128))
        text = refusal_of(bytes(content))
        assert "\n" not in text
        assert not re.search("[a-z](Error|Exception)", text)


def refusal_of(content):
    try:
        read(content)
    except ConvcliError as error:
        return str(error)
    return ""
