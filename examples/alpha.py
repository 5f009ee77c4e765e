"""Alpha weighting beside none: the colour that transparent pixels hide must not bleed."""

import matplotlib.pyplot as plt
import numpy as np
from drawing import scene, show, write
from matplotlib.axes import Axes

import convcli
from convcli.types import Pixels
from convcli.words import Alpha

PIECE = np.s_[106:406, 590:790]
HIDDEN = (0, 220, 60)  # the green that is left under alpha 0 where a studio's wall was cut away
SIGMA = 6.0
TITLES: dict[Alpha, str] = {
    "weight": "weight (the default):\nno fringe",
    "straight": "straight, as most tools do:\ngreen bleeds in",
    "keep": "keep: alpha stays sharp,\ngreen bleeds in",
}


def cutout() -> Pixels:
    """Cut an oval out of the scene, ``(H, W, 4)``; what is outside is green and hidden."""
    piece = scene()[PIECE]
    height, width = piece.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot((y - height / 2) / (height / 2 - 25), (x - width / 2) / (width / 2 - 25)) <= 1
    colours = np.where(inside[..., None], piece, np.array(HIDDEN))
    return np.dstack([colours, np.where(inside, 255, 0)]).astype(np.uint8)


def over_white(picture: Pixels) -> Pixels:
    """Lay a picture over white paper."""
    alpha = picture[..., 3:] / 255
    return np.asarray(np.rint(picture[..., :3] * alpha + 255 * (1 - alpha))).astype(np.uint8)


def greenness(paper: Pixels) -> int:
    """Say by how much green exceeds both other colours, in levels, at worst."""
    levels = paper.astype(int)
    return int((levels[..., 1] - levels[..., ::2].max(axis=2)).max())


def main() -> None:
    """Blur a cut-out in each way, print how green it gets, and lay it over white."""
    picture = cutout()
    figure, panels = plt.subplots(1, 4, figsize=(9, 4))
    axes: list[Axes] = list(panels)
    show(axes[0], picture[..., :3], "what the file holds,\nif alpha is ignored")
    for place, word in zip(axes[1:], TITLES, strict=True):
        blurred = convcli.blur(picture, SIGMA, alpha=word)
        paper = over_white(blurred)
        print(f"--alpha {word:9} green exceeds the others by {greenness(paper):3} levels at most")
        show(place, paper, TITLES[word])
    write(figure, "alpha.png")


if __name__ == "__main__":
    main()
