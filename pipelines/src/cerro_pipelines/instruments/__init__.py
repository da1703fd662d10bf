"""Instruments, each described by one YAML file (see ``docs/pipelines.md``)."""

from .model import Instrument, InstrumentError, Keyword, known, load

__all__ = ["Instrument", "InstrumentError", "Keyword", "known", "load"]
