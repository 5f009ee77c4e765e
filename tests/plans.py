"""Plans for given images and kernels, without a `Task`."""

from __future__ import annotations

import numpy as np

from convcli.kernels.kernel import Kernel
from convcli.planning.choice import plan_for
from convcli.planning.plan import Task
from convcli.running import packages


def planned(shape, dtype, kernels, method="auto", workers=None, **more):
    """Plan a task of one kernel, or of several; `more` are other fields of `Task`."""
    several = (kernels,) if isinstance(kernels, Kernel) else tuple(kernels)
    more.setdefault("without", packages.broken())
    if more.get("is_magnitude"):
        more["form"] = "separable"
    return plan_for(Task(shape, np.dtype(dtype), several, method, workers, **more))
