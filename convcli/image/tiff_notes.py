"""Notes on how the samples of a TIFF were changed to a mode that can be filtered."""

from __future__ import annotations

from convcli.image.notes import reduced
from convcli.image.picture import WITH_ALPHA, suffix_of
from convcli.image.tiff_layout import (
    BLACK_IS_ZERO,
    FLOAT,
    PALETTE,
    SIGNED,
    WHITE_IS_ZERO,
    Layout,
)

_UNSIGNED = {";8": 8, ";16": 16}
_SIGNED = (";16S", ";32F", ";64F")
_KINDS = {SIGNED: "signed ", FLOAT: "float "}


def sample_notes(layout: Layout, mode: str) -> list[str]:
    """Note how the samples of a TIFF differ from those of the mode in which it is filtered."""
    bits, kind = layout.bits[0], _KINDS.get(layout.formats[0], "")
    notes = []
    suffix = suffix_of(mode)
    is_band = mode[0].isdigit()
    if is_band and bits < _UNSIGNED.get(suffix, 0):
        notes.append(f"stored {bits}-bit samples in {_UNSIGNED[suffix]} bits")
    elif mode == "I;16" and bits < 16:
        notes.append(f"stored {bits}-bit samples in 16 bits, with values up to {2**bits - 1}")
    elif (mode == "I" or suffix == ";32F") and bits != 32:
        notes.append(f"stored {kind}{bits}-bit samples in 32 bits")
    elif suffix == ";16S" and bits != 16:
        notes.append(f"stored {kind}{bits}-bit samples in 16 bits")
    elif suffix == ";8" and bits > 8 and layout.photometric != PALETTE:
        notes.append(reduced(bits))
    elif suffix == ";16" and bits < 16:
        notes.append(f"scaled {bits}-bit channels to 16 bits")
    if layout.photometric == WHITE_IS_ZERO and (mode == "I" or suffix in _SIGNED):
        notes.append(f"inverted its {kind}samples, in which white is zero")
    kept = 1 if mode in WITH_ALPHA else 0
    extra = layout.samples - layout.colours - kept
    if extra:
        samples = f"{extra} extra {'sample' if extra == 1 else 'samples'} of each pixel"
        as_what = "as a band" if extra == 1 else "as bands"
        notes.append(
            f"filtered {samples} {as_what}" if is_band
            else f"dropped {samples} ({layout.samples} bands)"
        )  # fmt: skip
    return notes


def conversion_notes(layout: Layout, mode: str) -> list[str]:
    """Note what `notes.conversion_notes` does, for a TIFF that Pillow does not decode."""
    if layout.photometric == PALETTE:
        return [f"converted mode P to {mode}"]
    is_grey = layout.photometric <= BLACK_IS_ZERO
    return ["converted mode 1 to L"] if is_grey and layout.bits[0] == 1 else []


def lacking_notes(count: int) -> tuple[str, ...]:
    """Note that tiles or strips were left out of the file, as GDAL does with those without data."""
    what = "a tile or strip" if count == 1 else f"{count} tiles or strips"
    return (f"filled {what} that it leaves out",) if count else ()
