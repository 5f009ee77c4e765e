"""``python -m convcli``."""

from convcli.cli import program

if __name__ == "__main__":
    program()
