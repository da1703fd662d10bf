"""A process that dies by SIGKILL at a chosen step to disk, for the tests of publishing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

_STEPS = ("fsync", "rename", "replace", "mkdir")


def die_at(step: int, operation: Callable[..., Any], after: str = "") -> int:
    """Run an operation; at its `step`-th fsync, rename or new folder, die before it is done.

    Steps are counted from the beginning, or once something was renamed to a path that ends with
    `after`. Gives the steps that were left, if it lived.
    """
    left, counting = step, not after

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left, counting
            left -= counting
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(*args, **kwargs)
            counting = counting or (len(args) > 1 and str(args[1]).endswith(after))
            return done

        return call

    for name in _STEPS:
        setattr(os, name, counted(getattr(os, name)))
    operation()
    return left


def publish_dying(root: str, step: int) -> None:
    """Publish the survey and die on the way."""
    from cerro_services.release import ReleaseStore
    from cerro_services.release.publish import Publisher

    die_at(step, lambda: Publisher(ReleaseStore(root)).publish("survey"))


def ingest_dying(root: str, path: str, step: int, steps: Any = None, after: str = "") -> None:
    """Ingest objects and die on the way; count the steps taken if asked."""
    from cerro_services.release import ReleaseStore
    from cerro_services.release.draft import Drafts

    def ingest() -> None:
        Drafts(ReleaseStore(root)).ingest("survey", "Object", [Path(path)])

    left = die_at(step, ingest, after)
    if steps is not None:
        steps.value = step - left


def hold(root: str, ready: Any, done: Any) -> None:
    """Hold the lock of the survey until told."""
    from cerro_services.release.files import locked

    with locked(Path(root) / "survey", "ingest of Object"):
        ready.set()
        done.wait(60)
