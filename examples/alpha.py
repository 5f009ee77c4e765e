"""With and without alpha weighting: the hidden colour of transparent pixels should not bleed."""

import matplotlib.pyplot as plt
import numpy as np
from drawing import scene, show, write
from matplotlib.axes import Axes

import convcli
from convcli.types import Pixels
from convcli.words import Alpha

PIECE = np.s_[106:406, 590:790]
HIDDEN = (0, 220, 60)  # the green of a studio wall, left under alpha 0
SIGMA = 6.0
TITLES: dict[Alpha, str] = {
    "weight": "weight (the default):\nno fringe",
    "straight": "straight, as most tools do:\ngreen bleeds in",
    "keep": "keep: alpha stays sharp,\ngreen bleeds in",
}


def cutout() -> Pixels:
    """Cut an oval out of the scene, ``(H, W, 4)``; the green outside is hidden."""
    piece = scene()[PIECE]
    height, width = piece.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot((y - height / 2) / (height / 2 - 25), (x - width / 2) / (width / 2 - 25)) <= 1
    colours = np.where(inside[..., None], piece, np.array(HIDDEN))
    return np.dstack([colours, np.where(inside, 255, 0)]).astype(np.uint8)


def over_white(image: Pixels) -> Pixels:
    """Lay an image over white paper."""
    alpha = image[..., 3:] / 255
    return np.asarray(np.rint(image[..., :3] * alpha + 255 * (1 - alpha))).astype(np.uint8)


def greenness(paper: Pixels) -> int:
    """Return the most by which green exceeds both other colours, in levels."""
    levels = paper.astype(int)
    return int((levels[..., 1] - levels[..., ::2].max(axis=2)).max())


def main() -> None:
    """Blur a cut-out in each way, print how green it becomes, and lay it over white."""
    image = cutout()
    figure, panels = plt.subplots(1, 4, figsize=(9, 4))
    axes: list[Axes] = list(panels)
    show(axes[0], image[..., :3], "what the file holds,\nif alpha is ignored")
    for place, word in zip(axes[1:], TITLES, strict=True):
        blurred = convcli.blur(image, SIGMA, alpha=word)
        paper = over_white(blurred)
        print(f"--alpha {word:9} green exceeds the others by {greenness(paper):3} levels at most")
        show(place, paper, TITLES[word])
    write(figure, "alpha.png")


if __name__ == "__main__":
    main()
