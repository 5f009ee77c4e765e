"""The command line: Typer and rich live in this room and nowhere else."""
