"""Filter scene.png in six ways and write before_after.png, a sheet of captioned panels."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

import convcli
from convcli.kernels.named import disc_kernel, emboss_kernel, motion_kernel
from convcli.types import Pixels

HERE = Path(__file__).parent
CROP = (450, 108, 900, 408)  # lighthouse, lamps and house
WIDTH, HEIGHT, GAP, CAPTION, COLUMNS = 450, 300, 12, 26, 2


def filtered(image: Pixels) -> dict[str, Pixels]:
    """Filter the image in six ways; the keys are the command lines that do the same."""
    filter_ = "convcli filter scene.png --kernel "
    return {
        "convcli blur scene.png --sigma 4": convcli.blur(image, sigma=4),
        "convcli sharpen scene.png --sigma 2 --amount 1": convcli.sharpen(image, 2, 1),
        "convcli edge scene.png": convcli.edge(image),
        filter_ + "motion:25,30": convcli.convolve(image, motion_kernel(25, 30)),
        filter_ + "disc:6": convcli.convolve(image, disc_kernel(6)),
        filter_ + "emboss": convcli.convolve(image, emboss_kernel()),
    }


def sheet(panels: dict[str, Image.Image]) -> Image.Image:
    """Lay panels out in rows, each with its caption underneath."""
    width, height = WIDTH + GAP, HEIGHT + CAPTION + GAP
    rows = -(-len(panels) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(16)
    for place, (caption, panel) in enumerate(panels.items()):
        x, y = GAP + place % COLUMNS * width, GAP + place // COLUMNS * height
        page.paste(panel, (x, y))
        steps = [font.getlength(letter) + 1 for letter in caption]
        starts = x + (WIDTH - sum(steps)) / 2 + np.cumsum([0, *steps[:-1]])
        # Letter by letter: set as a whole, the two hyphens of an option run together.
        for letter, start in zip(caption, starts.tolist(), strict=True):
            draw.text((start, y + HEIGHT + 20), letter, "black", font, anchor="ls")
    return page


def main() -> None:
    """Filter the scene and write the sheet next to this script."""
    scene = Image.open(HERE / "scene.png")
    panels = {"scene.png": scene.resize((WIDTH, HEIGHT)), "the part shown below": scene.crop(CROP)}
    for command, result in filtered(np.asarray(scene)).items():
        panels[command] = Image.fromarray(result).crop(CROP)
    # 7 bits a channel look the same and save a fifth of the file.
    ImageOps.posterize(sheet(panels), 7).save(HERE / "before_after.png", optimize=True)


if __name__ == "__main__":
    main()
