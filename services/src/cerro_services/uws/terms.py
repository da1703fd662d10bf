"""What clients say of a job beside what it does: its name, how long it runs, when it is deleted."""

from __future__ import annotations

from cerro_services.quotas import Quota
from cerro_services.uws.model import Job, JobError, Pairs, Phase, instant, now

CONTROL = frozenset({"PHASE", "ACTION", "WAIT", "EXECUTIONDURATION", "DESTRUCTION"})
"""Parameters that are about the job, not what it does."""
_DAY = 86_400.0
_RUN_ID = 64


def control_of(pairs: Pairs) -> dict[str, str]:
    """Give the parameters that are about the job."""
    return {name: value.strip() for name, value in pairs if name in CONTROL}


def run_id_of(pairs: Pairs) -> str | None:
    """Give the client's name for a job; None if it has none."""
    found = [value for name, value in pairs if name == "RUNID" and value]
    if found and len(found[-1]) > _RUN_ID:
        raise JobError(f"RUNID may have {_RUN_ID} characters at most.")
    return found[-1] if found else None


def phase_of(text: str) -> Phase:
    """Read the name of a phase."""
    try:
        return Phase(text.strip().upper())
    except ValueError:
        raise JobError(f"There is no phase {text!r}; there are {', '.join(Phase)}.") from None


def instant_of(name: str, text: str) -> float:
    """Read a time [s since 1970]."""
    try:
        return instant(text)
    except (ValueError, OverflowError):
        raise JobError(
            f"{name} must be a time in UTC like 2027-01-31T12:00:00Z, not {text!r}."
        ) from None


def destruction_of(text: str, job: Job, quota: Quota) -> float:
    """Read when a job is to be deleted, within what the quota gives [s since 1970]."""
    wanted = instant_of("DESTRUCTION", text)
    return max(now(), min(wanted, job.created + _DAY * quota.keep_days))


def duration_of(text: str, quota: Quota) -> int:
    """Read how long a job may run, within what the quota gives [s]."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        raise JobError(f"EXECUTIONDURATION must be a whole number of seconds, not {text!r}.")
    # 0 is without limit, which nobody gets.
    return min(int(digits[:9]), quota.job_seconds) or quota.job_seconds
