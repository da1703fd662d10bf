"""What can go wrong with an upload, in words for who sent it."""

from __future__ import annotations

from cerro_services.errors import CerroError
from cerro_services.parameters import TooLargeError


class UploadError(CerroError, code="upload_error", status=400):
    """An upload cannot be used.

    Parameters
    ----------
    name
        The upload.
    problem
        What is wrong, and what to do.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(f"Upload {name}: {problem}")


class UploadTooLargeError(TooLargeError):
    """An upload has more bytes, rows or columns than may be.

    Parameters
    ----------
    name
        The upload.
    problem
        What is too much of it, and what to do.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name, self.problem = name, problem
        super().__init__(f"Upload {name}: {problem}")
