"""Check what a wheel and an sdist hold: everything that git has and they need, and no junk."""

import subprocess
import sys
import tarfile
import zipfile

# Made when a wheel is built.
COMPILED = "convcli/loops/compiled/shipped/"
# Of the repository alone: its settings for git, GitHub, containers and editors.
NOT_PUBLISHED = (".github/", ".dockerignore", ".pre-commit-config.yaml")

listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True)
tracked = {name for name in listed.stdout.split("\0") if name}
pages = {name for name in tracked if name.startswith("docs/") and name.endswith(".md")}
wanted = {
    "whl": {name for name in tracked if name.startswith("convcli/")}
    | {f"convcli/{name}" for name in pages},
    "gz": {name for name in tracked if not name.startswith(NOT_PUBLISHED)},
}
for path in sys.argv[1:]:
    kind = path.rpartition(".")[2]
    if kind == "whl":
        with zipfile.ZipFile(path) as wheel:
            # The manual page is in a folder for data.
            names = {n for n in wheel.namelist() if ".dist-info/" not in n and ".data/" not in n}
            compiled = {name for name in names if name.startswith(COMPILED)}
            print(f"{path}: {len(compiled)} compiled loops")
            names -= compiled
    else:
        with tarfile.open(path) as sdist:
            names = {each.name.partition("/")[2] for each in sdist if each.isfile()} - {"PKG-INFO"}
    missing, junk = wanted[kind] - names, names - wanted[kind]
    if missing or junk:
        sys.exit(f"{path}: missing {sorted(missing)}, not in git {sorted(junk)}")
    print(f"{path}: {len(names)} files, as in git")
