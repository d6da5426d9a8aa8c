"""Where the pages read, and nothing that they could change."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.models import DeployedModel


class Sources(NamedTuple):
    """The tables, the buckets, and the deployed models by their id."""

    state: State
    ledger: Ledger
    data: Objects
    artefacts: Objects
    deployed: Callable[[str], DeployedModel]
