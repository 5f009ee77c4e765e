"""Hatch's hook for wheels: add the pages that `convcli help` shows, and compile loops.

The loops are those of common filters, so that a first run need not compile them. A wheel is for all
systems, and what it brings is for Linux on x86-64. Where that cannot be compiled the wheel is built
without it.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_MODULE = "convcli.loops.compiled.shipping"


class Additions(BuildHookInterface):  # type: ignore[type-arg]
    """Add what is not in the package's folder; an editable install finds or makes it itself."""

    _place = ""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Let the wheel include the pages and the compiled loops."""
        if version == "editable":
            return
        for page in Path(self.root, "docs").glob("*.md"):
            build_data["force_include"][str(page)] = f"convcli/docs/{page.name}"
        if (sys.platform, platform.machine()) == ("linux", "x86_64"):
            self._compile(build_data)

    def _compile(self, build_data: dict[str, Any]) -> None:
        """Compile for each level of processors at once, in a process each."""
        sys.path.insert(0, self.root)
        from convcli.loops.compiled.shipped import FEATURES

        self._place = mkdtemp()
        running = []
        for level, features in FEATURES.items():
            settings = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": features}
            command = [sys.executable, "-m", _MODULE, level, self._place]
            running.append(
                subprocess.Popen(
                    command,
                    cwd=self.root,  # where Python finds convcli
                    env=os.environ | settings,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        errors = [process.communicate()[1] for process in running]
        if any(process.returncode for process in running):
            reason = (errors[0] or errors[-1]).strip().rpartition("\n")[2]
            self.app.display_warning(f"the wheel brings no compiled loops ({reason})")
            return
        to = Path("convcli", "loops", "compiled", "shipped")
        build_data["force_include"][self._place] = str(to)

    def finalize(self, *_: Any) -> None:
        """Remove what was compiled."""
        if self._place:
            rmtree(self._place)
