"""Print the oldest packages that pyproject.toml allows: each >= of it becomes ==."""

import re
import sys
import tomllib

# Those that the program uses.
EXTRAS = (
    "fft", "fast", "deep", "exr", "bank", "plot", "compare", "zarr", "remote", "cluster"
)  # fmt: skip

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
extras = [] if "--no-extras" in sys.argv else EXTRAS
wanted = (project["optional-dependencies"][name] for name in extras)
for requirement in sum(wanted, project["dependencies"]):
    # Constraints have no extras of their own: fsspec[s3] is fsspec.
    print(re.sub(r"(\[.*\])?>=([\d.]+).*", r"==\2", requirement))
