"""Notes on how the samples of a TIFF were changed to a mode that can be filtered."""

from __future__ import annotations

from convcli.image.notes import reduced
from convcli.image.picture import MODES, WITH_ALPHA
from convcli.image.tiff_layout import (
    BLACK_IS_ZERO,
    FLOAT,
    PALETTE,
    SIGNED,
    WHITE_IS_ZERO,
    Layout,
)

_KINDS = {SIGNED: "signed ", FLOAT: "float "}


def sample_notes(layout: Layout, mode: str) -> list[str]:
    """Note how the samples of a TIFF differ from those of the mode in which it is filtered."""
    bits, kind = layout.bits[0], _KINDS.get(layout.formats[0], "")
    notes = []
    if mode == "I;16" and bits < 16:
        notes.append(f"stored {bits}-bit samples in 16 bits, with values up to {2**bits - 1}")
    elif mode in ("I", "F") and bits != 32:
        notes.append(f"stored {kind}{bits}-bit samples in 32 bits")
    elif MODES[mode][1] == "uint8" and bits > 8 and layout.photometric != PALETTE:
        notes.append(reduced(bits))
    elif mode.endswith(";16") and bits < 16:
        notes.append(f"scaled {bits}-bit channels to 16 bits")
    if layout.photometric == WHITE_IS_ZERO and mode in ("I", "F"):
        notes.append(f"inverted its {kind}samples, in which white is zero")
    kept = 1 if mode in WITH_ALPHA else 0
    extra = layout.samples - layout.colours - kept
    if extra:
        word = "sample" if extra == 1 else "samples"
        bands = f" ({layout.samples} bands)"
        notes.append(f"dropped {extra} extra {word} of each pixel{bands}")
    return notes


def conversion_notes(layout: Layout, mode: str) -> list[str]:
    """Note what `notes.conversion_notes` does, for a TIFF that Pillow does not decode."""
    if layout.photometric == PALETTE:
        return [f"converted mode P to {mode}"]
    is_grey = layout.photometric <= BLACK_IS_ZERO
    return ["converted mode 1 to L"] if is_grey and layout.bits[0] == 1 else []
