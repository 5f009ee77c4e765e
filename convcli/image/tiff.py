"""Writing TIFF files: one page or several, of 16-bit colour by tifffile, of all else by Pillow."""

from __future__ import annotations

from typing import Any, BinaryIO

from PIL import TiffImagePlugin
from PIL.ExifTags import Base as Tag

from convcli.image import deep
from convcli.image.encoder import Encoder
from convcli.image.metadata import BLOCKS, exif_of
from convcli.image.picture import Picture
from convcli.words import listed_all


def write(encoder: Encoder, picture: Picture, file: BinaryIO) -> None:
    """Write a TIFF, each page as soon as it is there."""
    if picture.frames == 1:
        _write_page(encoder, picture, file)
        return
    with _Pages(file) as pages:
        for number, page in enumerate(picture.all_frames()):
            _write_page(encoder, page, pages, is_first=number == 0)
            pages.newFrame()
    if "duration" in picture.frame:
        # Once is what viewers of pages do, and forever the default of animations.
        counted = ["loop count"] if picture.frame.get("plays", 0) > 1 else []
        names = listed_all(["durations", *counted])
        encoder.note(f"dropped its {names}, which TIFF cannot store")


def _write_page(
    encoder: Encoder, page: Picture, file: BinaryIO | _Pages, is_first: bool = True
) -> None:
    settings = encoder.settings_for(page)
    if not is_first and _drop_blocks(settings):
        encoder.note("dropped the EXIF blocks of pages after the first")
    if not deep.holds(page):
        if "compression" in settings and _drop_page_number(settings):
            encoder.note("dropped its page number, which cannot be written in a compressed TIFF")
        encoder.image_of(page).save(file, "TIFF", **settings)
        return
    content, is_complete = deep.tiff(page, settings)
    if not is_complete:
        encoder.note("dropped its EXIF block, which cannot be written with 16-bit colour in TIFF")
    file.write(content)


def _drop_page_number(settings: dict[str, Any]) -> bool:
    """Drop a page number, which Pillow writes wrong; return whether there is one."""
    tags = exif_of(settings.get("exif", b""))
    if Tag.PageNumber not in tags:
        return False
    del tags[Tag.PageNumber]
    settings["exif"] = tags
    return True


def _drop_blocks(settings: dict[str, Any]) -> bool:
    """Drop the EXIF blocks: Pillow appends a page without updating the offsets to them."""
    tags = exif_of(settings.get("exif", b""))
    blocks = BLOCKS & set(tags)
    for block in blocks:
        del tags[block]
    if blocks:
        settings["exif"] = tags
    return bool(blocks)


class _Pages(TiffImagePlugin.AppendingTiffWriter):
    """Pillow's writer, which here looks for the end from the last page: 4000 pages took 11 s."""

    last: int | None = None

    def skipIFDs(self) -> None:  # noqa: N802 - Pillow's name
        if self.last is not None:
            self.f.seek(self.last)
        super().skipIFDs()
        self.last = self.whereToWriteNewIFDOffset

    def close(self) -> None:
        """Finish the last page; not after an error, when the file is closed and will be removed.

        Python calls it when the object goes. From 3.13 on it prints what is raised then.
        """
        if not self.f.closed:
            super().close()
