"""Run the README's commands, as this system writes them: Windows has no .venv/bin."""

import re
import subprocess
import sys
from pathlib import Path

text = Path("README.md").read_text(encoding="utf-8")
section = re.search(r"^## Two commands$(.*?)^## ", text, re.M | re.S)
commands = re.findall(r"^```sh\n(.*?)^```", section[1], re.M | re.S)
for number in map(int, sys.argv[1:] or ("1", "2")):
    steps = commands[number - 1].strip()
    if sys.platform == "win32":
        steps = steps.replace("python3 ", "python ").replace(".venv/bin/", ".venv\\Scripts\\")
    print(steps, flush=True)
    subprocess.run(steps, shell=True, check=True)
