"""Writes the table of the hub's settings: `python -m cerro_hub.settings_reference`."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from cerro_hub.settings import HubSettings

HEAD = "| Setting | Default | What it does |\n|---|---|---|"


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the model of a section, if the field is one."""
    kinds = typing.get_args(field.annotation) or (field.annotation,)
    for kind in kinds:
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return kind
    return None


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=False)
    if value is PydanticUndefined:
        return "required"
    if value is None or field.annotation is SecretStr:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def rows(model: type[BaseModel] = HubSettings, prefix: str = "") -> Iterator[str]:
    """Yield one row of the table a setting, those of the sections below their section."""
    for name, field in model.model_fields.items():
        section = _model_of(field)
        if section:
            yield from rows(section, f"{prefix}{name}.")
        else:
            yield f"| `{prefix}{name}` | {_default(field)} | {field.description} |"


def table() -> str:
    """Return the whole table, in Markdown."""
    return "\n".join([HEAD, *rows()])


if __name__ == "__main__":
    print(table())
