"""Who may read what: the access rules of ``release.yaml``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cerro_services.release.errors import ReleaseError

PUBLIC = "public"

Rule = frozenset[str] | None
"""The groups that may read; None means everyone."""


@dataclass(frozen=True)
class Access:
    """The access rules of a release: one default, and exceptions by table and dataset type.

    Parameters
    ----------
    default
        Groups that may read what has no rule of its own; None means everyone.
    tables, datasets
        Rules of single tables and of Butler dataset types.
    """

    default: Rule = None
    tables: Mapping[str, Rule] = field(default_factory=lambda: MappingProxyType({}))
    datasets: Mapping[str, Rule] = field(default_factory=lambda: MappingProxyType({}))

    def allows(
        self,
        groups: Collection[str],
        *,
        table: str | None = None,
        dataset_type: str | None = None,
    ) -> bool:
        """Tell whether a member of `groups` may read a table or dataset type.

        Parameters
        ----------
        groups
            Groups of the caller; empty for the public caller.
        table
            Name of a table, without the schema.
        dataset_type
            Name of a Butler dataset type. Without both, the default rule decides.

        Returns
        -------
        bool
            Whether the rule is public or names one of the groups.
        """
        rule = self.default
        if table is not None:
            rule = self.tables.get(table, self.default)
        elif dataset_type is not None:
            rule = self.datasets.get(dataset_type, self.default)
        return rule is None or not rule.isdisjoint(groups)

    @classmethod
    def from_document(cls, document: object) -> Access:
        """Read the ``access`` entry of a release.yaml.

        Parameters
        ----------
        document
            ``public``, a list of groups, or a mapping with ``default``, ``tables`` and
            ``datasets``; None means public.

        Returns
        -------
        Access
            The rules.

        Raises
        ------
        ReleaseError
            The entry has another form.
        """
        if not isinstance(document, Mapping):
            return cls(default=_rule(document, "access"))
        unknown = set(document) - {"default", "tables", "datasets"}
        if unknown:
            raise ReleaseError(
                f"access: unknown entry {', '.join(sorted(map(str, unknown)))}; "
                "known are default, tables and datasets."
            )
        return cls(
            default=_rule(document.get("default"), "access.default"),
            tables=_rules(document.get("tables"), "access.tables"),
            datasets=_rules(document.get("datasets"), "access.datasets"),
        )

    def to_document(self) -> dict[str, object]:
        """Give the rules in the form of release.yaml."""
        document: dict[str, object] = {"default": _shown(self.default)}
        if self.tables:
            document["tables"] = {name: _shown(rule) for name, rule in self.tables.items()}
        if self.datasets:
            document["datasets"] = {name: _shown(rule) for name, rule in self.datasets.items()}
        return document

    def describe(self) -> str:
        """Give the rules in a few words, for a list of releases."""
        words = "public" if self.default is None else ",".join(sorted(self.default))
        exceptions = len(self.tables) + len(self.datasets)
        return f"{words} (+{exceptions} rules)" if exceptions else words


def _shown(rule: Rule) -> object:
    return PUBLIC if rule is None else sorted(rule)


def _rules(document: object, where: str) -> Mapping[str, Rule]:
    if document is None:
        return MappingProxyType({})
    if not isinstance(document, Mapping):
        raise ReleaseError(f"{where}: must map names to {PUBLIC!r} or a list of groups.")
    return MappingProxyType(
        {str(name): _rule(rule, f"{where}.{name}") for name, rule in document.items()}
    )


def _rule(document: object, where: str) -> Rule:
    if document is None or document == PUBLIC:
        return None
    groups = [document] if isinstance(document, str) else document
    if not isinstance(groups, list) or not all(isinstance(g, str) and g for g in groups):
        raise ReleaseError(f"{where}: must be {PUBLIC!r} or a list of group names, not {groups!r}.")
    if not groups:
        raise ReleaseError(f"{where}: the list of groups is empty, so nobody could read it.")
    if PUBLIC in groups:
        raise ReleaseError(f"{where}: {PUBLIC!r} stands alone; it is no group in a list.")
    return frozenset(groups)
