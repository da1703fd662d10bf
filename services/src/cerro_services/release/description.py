"""What ``release.yaml`` says of a release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cerro_services.release.access import Access
from cerro_services.release.errors import ReleaseError
from cerro_services.release.model import Example
from cerro_services.release.services import ServiceModel, from_document, to_document

_TEXTS = ("title", "description", "doi", "credit", "licence")


@dataclass(frozen=True)
class Description:
    """What ``release.yaml`` says.

    Parameters
    ----------
    name, title, description, doi, credit, licence
        For people.
    access
        Who may read what.
    examples
        Queries to begin with.
    services
        What can be done with rows of its tables.
    """

    name: str
    title: str
    access: Access
    description: str | None = None
    doi: str | None = None
    credit: str | None = None
    licence: str | None = None
    examples: tuple[Example, ...] = ()
    services: tuple[ServiceModel, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Description:
        """Read a release.yaml.

        Raises
        ------
        ReleaseError
            Naming the file and the entry that is wrong.
        """
        import yaml

        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ReleaseError(f"{path} is missing.") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ReleaseError(f"{path} is not YAML: {error}") from error
        known = {"name", "version", "access", "examples", "services", *_TEXTS}
        if not isinstance(document, dict) or not {"name", "title"} <= document.keys():
            raise ReleaseError(f"{path} must have at least 'name' and 'title'.")
        if unknown := document.keys() - known:
            raise ReleaseError(
                f"{path}: unknown entry {', '.join(sorted(map(str, unknown)))}; "
                f"known are {', '.join(sorted(known))}."
            )
        try:
            access = Access.from_document(document.get("access"))
            examples = _examples(document.get("examples"))
            services = from_document(document.get("services"))
        except ReleaseError as error:
            raise ReleaseError(f"{path}: {error.message}") from error
        texts = {k: str(document[k]) for k in _TEXTS if document.get(k) is not None}
        name = str(document["name"])
        return cls(name=name, access=access, examples=examples, services=services, **texts)

    def to_yaml(self) -> str:
        """Give the text of a release.yaml."""
        import yaml

        document: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.name not in {"access", "examples", "services"}
            and getattr(self, f.name) is not None
        }
        document["access"] = self.access.to_document()
        if self.examples:
            document["examples"] = [
                {key: text for key, text in asdict(example).items() if text is not None}
                for example in self.examples
            ]
        if self.services:
            document["services"] = to_document(self.services)
        return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def read_examples(path: Path) -> tuple[Example, ...]:
    """Read a YAML list of examples.

    Raises
    ------
    ReleaseError
        Naming the file and the entry that is wrong.
    """
    return _read(path, _examples)


def read_services(path: Path) -> tuple[ServiceModel, ...]:
    """Read a YAML list of services.

    Raises
    ------
    ReleaseError
        Naming the file and the entry that is wrong.
    """
    return _read(path, from_document)


def _read[T](path: Path, meaning: Callable[[object], T]) -> T:
    import yaml

    try:
        return meaning(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ReleaseError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ReleaseError(f"{path} is not YAML: {error}") from error
    except ReleaseError as error:
        raise ReleaseError(f"{path}: {error.message}") from error


def _examples(document: object) -> tuple[Example, ...]:
    """Read the ``examples`` entry of a release.yaml."""
    form = "'examples' must be a list, each entry with 'name', 'query' and perhaps 'description'"
    entries = document or []
    if not isinstance(entries, list):
        raise ReleaseError(f"{form}.")
    made = []
    for entry in entries:
        known = {"name", "query", "description"}
        if not isinstance(entry, dict) or not {"name", "query"} <= entry.keys() <= known:
            raise ReleaseError(f"{form}; this is none: {entry!r}.")
        if not all(isinstance(text, str) and text.strip() for text in entry.values()):
            raise ReleaseError(f"{form}, which are texts; these are not: {entry!r}.")
        made.append(Example(**{key: text.strip() for key, text in entry.items()}))
    return tuple(made)
