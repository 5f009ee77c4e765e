"""Draw the figures of all examples into one folder: ``python examples/draw_all.py figures/``."""

import runpy
from pathlib import Path

HERE = Path(__file__).parent
# Scripts that write next to themselves, and modules that the examples share.
APART = {"render_scene", "before_after", "drawing", "draw_all"}
STORIES = sorted(path.stem for path in HERE.glob("*.py") if path.stem not in APART)


def main() -> None:
    """Run each example as a script, in this process: importing matplotlib takes half a second.

    One after the other, because some measure times. Each takes the folder from the command line.
    """
    for name in STORIES:
        runpy.run_path(str(HERE / f"{name}.py"), run_name="__main__")


if __name__ == "__main__":
    main()
