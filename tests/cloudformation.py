"""Where CloudFormation waits for the answer to what a stack asked a function."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

from tests.door import Door, served


class Waiting:
    """CloudFormation, waiting behind an address for what is put there."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.types: list[str | None] = []
        waiting = self

        class Answers(Door):
            def answer(self) -> None:
                waiting.types.append(self.headers.get("content-type"))
                waiting.answers.append(json.loads(self.came()))
                self.say(200)

        self._until = ExitStack()
        self.url = f"{self._until.enter_context(served(Answers))}/answer?X-Amz-Signature=abc"

    def stop(self) -> None:
        """Answer nobody any more."""
        self._until.close()
