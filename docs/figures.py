"""A hook of mkdocs: run the examples for the figures, and add the benchmark results as a page."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
STORIES = sorted(
    path
    for path in (ROOT / "examples").glob("*.py")
    if path.stem not in {"render_scene", "before_after", "drawing"}
)


@cache
def drawn() -> TemporaryDirectory[str]:
    """Run every example once, and return the temporary folder of their figures."""
    folder = TemporaryDirectory()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # One after the other, because some measure times.
    for story in STORIES:
        command = [sys.executable, str(story), folder.name]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return folder


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add figures/*.png and results.md, which are not in docs/."""
    added = {f"figures/{path.stem}.png": Path(drawn().name, f"{path.stem}.png") for path in STORIES}
    added["figures/before_after.png"] = ROOT / "examples" / "before_after.png"
    added["results.md"] = ROOT / "benchmarks" / "RESULTS.md"
    for uri, path in added.items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files
