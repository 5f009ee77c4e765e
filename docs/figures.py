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


@cache
def drawn() -> TemporaryDirectory[str]:
    """Run every example once, and return the temporary folder of their figures."""
    folder = TemporaryDirectory()
    command = [sys.executable, str(ROOT / "examples" / "draw_all.py"), folder.name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return folder


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add figures/*.png and results.md, which are not in docs/.

    CONVCLI_FIGURES may name a folder of figures that are drawn already, as the tests do.
    """
    folder = Path(os.environ.get("CONVCLI_FIGURES") or drawn().name)
    added = {f"figures/{path.name}": path for path in folder.glob("*.png")}
    added["figures/before_after.png"] = ROOT / "examples" / "before_after.png"
    added["results.md"] = ROOT / "benchmarks" / "RESULTS.md"
    for uri, path in added.items():
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files
