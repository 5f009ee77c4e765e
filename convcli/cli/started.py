"""When the program started: Python itself has run for about 15 ms by then."""

from time import perf_counter

STARTED = perf_counter()
