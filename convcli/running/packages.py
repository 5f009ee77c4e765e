"""Packages that a plan needs: they are imported here, and plans are made without broken ones."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

from convcli.errors import lacks_memory, reason_of
from convcli.loops.compiled import apart, machine_code
from convcli.planning.choice import plan_for
from convcli.planning.methods import PRESETS, check_method
from convcli.planning.plan import Plan, Task
from convcli.words import Method

_log = logging.getLogger(__name__)

# What has to be imported of each; importing our own module shows that all it uses of pathos is
# there.
_MODULES = {"numba": "numba", "scipy": "scipy.fft", "pathos": "convcli.running.processes"}

_broken: dict[str, str] = {}
# Packages that there was too little memory for. A later image may find more.
_short: set[str] = set()


def broken() -> Mapping[str, str]:
    """Return the packages that are installed but could not be imported so far, and why."""
    return dict(_broken)


def ready_plan(task: Task) -> Plan:
    """Plan a task, and import what the plan needs.

    A package that cannot be imported is reported once, in the log, and the task is planned again
    without it.

    Raises
    ------
    ConvcliError
        As `plan_for`; also if the method that was asked for needs a package that is broken.
    """
    without, found = dict(_broken), dict[str, str]()
    while True:
        plan = plan_for(replace(task, without=without) if without else task)
        for package, problem in found.items():
            if package in _broken or package not in _short:
                _log.warning("%s %s; continuing without it", package, problem)
        _short.update(package for package in found if package not in _broken)
        problems = {package: _problem(package) for package in plan.needs}
        found = {package: problem for package, problem in problems.items() if problem}
        if not found:
            return plan
        without |= found


def check(method: Method) -> None:
    """Raise `ConvcliError` if a method is certain to need a package that cannot be imported."""
    package = None if method == "auto" else PRESETS[method].package
    if package is None:
        return
    if package == "numba" and (machine_code.is_any_kept() or machine_code.lacks_memory()):
        return  # it may not be needed
    if package == "numba" and _is_imported_apart():
        return
    try:
        import_module(_MODULES[package])
    except Exception as error:
        if lacks_memory(error):  # the package is all right
            raise MemoryError from error
        check_method(method, {package: _why(error)})


def _problem(package: str) -> str:
    """Import a package, and say why that is not possible."""
    if package == "numba" and machine_code.lacks_memory():
        return machine_code.TOO_LITTLE
    if package == "numba" and _is_imported_apart():
        return ""
    try:
        import_module(_MODULES[package])
    except Exception as error:  # a package may raise what it likes
        problem = _why(error)
        if not lacks_memory(error):
            _broken[package] = problem
        return problem
    return ""


def _is_imported_apart() -> bool:
    """Say whether the process that compiles imports numba, which takes 60 MB, and this one not."""
    return apart.is_wanted() and machine_code.can_be_kept()


def _why(error: Exception) -> str:
    return f"cannot be imported ({reason_of(error)})"
