"""Which rows are held out: the same ones for ever, wherever they come again.

A row's identity is its primary key, or without one its content except for the target, so that a corrected label does
not move the row. The row is held out when the first 32 bits of SHA-256(key, identity) fall below the fraction.
"""

from __future__ import annotations

from interlock.contract import Contract
from interlock.models import DeployedModel
from interlock.sql import quoted, text


def identity(model: DeployedModel) -> tuple[str, ...]:
    """The columns that say which row it is."""
    contract: Contract = model.contract
    return contract.primary_key or tuple(name for name in contract.names if name != model.spec.target.column)


def held_out(model: DeployedModel) -> str:
    """Whether a row is, as an SQL condition over typed columns; the engine writes them as text."""
    spec = model.spec.holdout
    # One text is made of all parts, of which `concat` leaves out the missing ones; `||` would make one a part.
    written = ", ".join(
        f"strlen(CAST({name} AS VARCHAR)), if({name} IS NULL, '-', ':'), CAST({name} AS VARCHAR)"
        for name in map(quoted, identity(model))
    )
    # Digits of a hash are ordered as the number of its first bits is.
    return f"sha256(concat({text(spec.key)}, chr(31), {written})) < '{int(spec.fraction * 2**32):08x}'"
