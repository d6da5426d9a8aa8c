"""The base of every record and document that is stored or sent."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A strict, immutable document: an unknown field is an error, not a surprise later."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no white space; equal documents give equal bytes."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote.

        Raises:
            pydantic.ValidationError: the text is not such a document.
        """
        return cls.model_validate_json(text)

    def digest(self) -> str:
        """Hash of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """One text for one value, so that it can be hashed (RFC 8785's ordering for the ASCII keys we use)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
