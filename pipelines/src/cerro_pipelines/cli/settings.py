"""Read ``TASK:FIELD=VALUE`` from the command line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from cerro_pipelines.execute import PipelineError

__all__ = ["parse_settings"]


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Read settings; values are YAML, so that 5, 1.5, true and text mean what they look like.

    Raises
    ------
    PipelineError
        If one is not of that form.
    """
    settings: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        label, colon, field = key.partition(":")
        if not (equals and colon and label and field):
            raise PipelineError(f"{text}: write a setting as task:field=value.")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise PipelineError(f"{text}: the value cannot be read ({error}).") from error
    return settings
