"""Images between files and arrays; the only room that imports Pillow."""

from convcli.image.encoding import write
from convcli.image.picture import Grey, Picture
from convcli.image.reading import limit_pixels
from convcli.image.streams import read

__all__ = ["Grey", "Picture", "limit_pixels", "read", "write"]
