"""Progress on stderr, and errors as one clear line."""

from __future__ import annotations

import functools
import logging
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from cerro_pipelines.execute import Progress

__all__ = ["Reporter", "clear_errors", "quantum_reporter", "step_reporter"]


class Reporter:
    """Say how far the work is: a line that renews itself on a terminal, plain lines elsewhere.

    Parameters
    ----------
    verbose
        Also say what tasks log.
    """

    def __init__(self, *, verbose: bool) -> None:
        self._terminal = sys.stderr.isatty()
        self._begin = time.monotonic()
        self._width = 0
        logging.basicConfig(
            level=logging.INFO if verbose else logging.WARNING,
            format="%(levelname)s %(name)s: %(message)s",
            stream=sys.stderr,
        )
        # It warns on every run that EUPS, Rubin's own package manager, is not there.
        logging.getLogger("lsst.utils.packages").setLevel(logging.ERROR)
        if verbose:
            os.environ["CERRO_PIPELINE_LOG"] = "INFO"

    def say(self, text: str) -> None:
        """Show a state."""
        if not self._terminal:
            click.echo(text, err=True)
            return
        seconds = time.monotonic() - self._begin
        line = f"  {text}  {seconds:.0f} s"
        click.echo("\r" + line.ljust(self._width), err=True, nl=False)
        self._width = len(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._terminal:
            click.echo("\r" + " " * self._width + "\r", err=True, nl=False)


class _QuantumReporter(Reporter):
    def __call__(self, progress: Progress) -> None:
        whole = ""
        if progress.all_total != progress.total:
            whole = f", {100 * progress.all_done // progress.all_total} % of all"
        self.say(f"{progress.task} ({progress.done}/{progress.total}){whole}")


class _StepReporter(Reporter):
    def __call__(self, step: str, done: int, total: int) -> None:
        self.say(f"{step} ({done}/{total})")


def quantum_reporter(*, verbose: bool) -> _QuantumReporter:
    """Make a reporter for `cerro_pipelines.execute.run_pipeline`."""
    return _QuantumReporter(verbose=verbose)


def step_reporter(*, verbose: bool) -> _StepReporter:
    """Make a reporter for `cerro_pipelines.ingest.ingest`."""
    return _StepReporter(verbose=verbose)


def clear_errors[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that a person can act on into one line and exit code 1."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            message = _message(error)
            if message is None:
                raise
            raise click.ClickException(message) from error

    return wrapped


def _message(error: Exception) -> str | None:
    """Give the text of an error that we know; None for any other."""
    from sqlalchemy.exc import DatabaseError

    from cerro_pipelines.execute import PipelineError
    from cerro_pipelines.ingest import IngestError
    from cerro_pipelines.instruments import InstrumentError
    from cerro_pipelines.repository import RepositoryError
    from cerro_pipelines.schema.felis import SchemaError

    own: tuple[Any, ...] = (
        PipelineError,
        IngestError,
        InstrumentError,
        RepositoryError,
        SchemaError,
    )
    if isinstance(error, own):
        return str(error)
    if isinstance(error, DatabaseError):
        return f"The repository's registry cannot be written or read: {error.orig}."
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}."
    return None
