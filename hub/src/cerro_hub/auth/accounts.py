"""Embedded accounts: one JSON file in the hub's own folder, passwords hashed with Argon2id."""

from __future__ import annotations

import fcntl
import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cerro_hub.errors import AccountError
from cerro_hub.secrets import write_private

NAME = re.compile(r"[a-z][a-z0-9_-]{0,29}")
"""What an account may be called: a name that is safe as a folder and in an address."""

GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")

SHORTEST_PASSWORD = 10

_HASHER = PasswordHasher()


@dataclass(frozen=True)
class Account:
    """One person's account.

    Parameters
    ----------
    name : str
        Login name.
    password : str
        Argon2id hash.
    admin : bool
        Whether the person administers the platform.
    groups : tuple of str
        Groups, such as ``data-rights``.
    """

    name: str
    password: str
    admin: bool = False
    groups: tuple[str, ...] = ()


def generate_password() -> str:
    """Return a password that is hard to guess and easy to copy (96 bits)."""
    return secrets.token_urlsafe(12)


class AccountStore:
    """The accounts of one platform.

    Several processes may use the store at once: writers hold a lock, readers see whole files.

    Parameters
    ----------
    folder : Path
        The hub's own folder.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "accounts.json"
        self._lock = folder / "accounts.lock"
        self._read: tuple[tuple[int, int, int], Mapping[str, Account]] | None = None

    def all(self) -> Mapping[str, Account]:
        """Return every account by name; cheap when nothing has changed since the last call."""
        try:
            stat = self._file.stat()
        except FileNotFoundError:
            return MappingProxyType({})
        stamp = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        if self._read is None or self._read[0] != stamp:
            records = json.loads(self._file.read_text())
            accounts = {
                name: Account(name, r["password"], r["admin"], tuple(r["groups"]))
                for name, r in records.items()
            }
            self._read = stamp, MappingProxyType(accounts)
        return self._read[1]

    def get(self, name: str) -> Account:
        """Return one account.

        Raises
        ------
        AccountError
            There is none of that name.
        """
        try:
            return self.all()[name]
        except KeyError:
            raise AccountError(
                f"No account is called {name!r}. `cerro user list` shows those that exist."
            ) from None

    def add(
        self, name: str, password: str, *, admin: bool = False, groups: Collection[str] = ()
    ) -> Account:
        """Add an account.

        Raises
        ------
        AccountError
            The name is taken or will not do, or the password is too short.
        """
        if not NAME.fullmatch(name):
            raise AccountError(
                f"{name!r} cannot be an account's name: use up to 30 of a-z, 0-9, - and _, "
                "with a letter first."
            )
        account = Account(name, _hash(password), admin, _groups(groups))
        with self._change() as accounts:
            if name in accounts:
                raise AccountError(f"There is an account called {name!r} already.")
            accounts[name] = account
        return account

    def remove(self, name: str) -> None:
        """Remove an account.

        Raises
        ------
        AccountError
            It does not exist, or it is the last administrator's.
        """
        with self._change() as accounts:
            account = self.get(name)
            if account.admin and sum(a.admin for a in accounts.values()) == 1:
                raise AccountError(f"{name!r} is the only administrator. Add another one first.")
            del accounts[name]

    def set_password(self, name: str, password: str) -> None:
        """Give an account a new password.

        Raises
        ------
        AccountError
            The account does not exist, or the password is too short.
        """
        hashed = _hash(password)
        with self._change() as accounts:
            accounts[name] = replace(self.get(name), password=hashed)

    def set_groups(self, name: str, groups: Collection[str]) -> Account:
        """Put an account into exactly these groups.

        Raises
        ------
        AccountError
            The account does not exist, or a group's name will not do.
        """
        with self._change() as accounts:
            accounts[name] = replace(self.get(name), groups=_groups(groups))
            return accounts[name]

    def verify(self, name: str, password: str) -> Account | None:
        """Return the account if the password is right, else None.

        It takes as long for a name that does not exist, so that names cannot be found out by time.
        """
        account = self.all().get(name)
        hashed = account.password if account else _UNKNOWN
        try:
            _HASHER.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return None
        return account

    @contextmanager
    def _change(self) -> Iterator[dict[str, Account]]:
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            accounts = dict(self.all())
            yield accounts
            records = {name: asdict(account) for name, account in sorted(accounts.items())}
            write_private(self._file, json.dumps(records, indent=1) + "\n")


def _hash(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise AccountError(
            f"The password is too short: use {SHORTEST_PASSWORD} characters or more."
        )
    return _HASHER.hash(password)


def _groups(names: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if not GROUP.fullmatch(name):
            raise AccountError(f"{name!r} cannot be a group's name: use letters, digits, - _ . :")
    return tuple(sorted(set(names)))


_UNKNOWN = _HASHER.hash(secrets.token_hex(16))
