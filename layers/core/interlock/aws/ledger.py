"""DynamoDB table `ledger`: the chain of decisions, written by PutItem alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from botocore.exceptions import ClientError

from interlock.aws.client import client, code, translated
from interlock.errors import Throttled
from interlock.ledger import Decision, Entry, Stage, entry

_TRIES = 8
_NEW = "attribute_not_exists(pk)"


class Ledger:
    """Every model has a chain of its own (pk = the model, sk = the sequence number)."""

    def __init__(self, table: str, dynamodb: Any = None) -> None:
        """The table, by this process's own client where none is given."""
        self._table = table
        self._dynamodb = dynamodb or client("dynamodb")

    def append(self, decision: Decision) -> None:
        """Write a decision at the chain's end, once: the same `key` again changes nothing.

        The entry and a marker of its key go in one transaction; whoever loses the race for the place reads the
        new end and tries again.

        Raises:
            Throttled: others were faster every time.
        """
        for _ in range(_TRIES):
            draft = entry(decision, self.last(decision.model), datetime.now(UTC))
            place = {"pk": {"S": decision.model}, "sk": {"N": str(draft.sequence)}}
            marker = {"pk": {"S": f"{decision.model}#{decision.key}"}, "sk": {"N": "0"}}
            try:
                with translated(f"writing the ledger of {decision.model}"):
                    self._dynamodb.transact_write_items(
                        TransactItems=[
                            {"Put": self._put({**place, "document": {"S": draft.to_json()}})},
                            {"Put": self._put(marker)},
                        ]
                    )
            except ClientError as error:
                if code(error) not in {"TransactionCanceledException", "TransactionConflictException"}:
                    raise
                answer = cast("dict[str, Any]", error.response)
                reasons = answer.get("CancellationReasons", [{}, {}])
                if reasons[1].get("Code") == "ConditionalCheckFailed":
                    return
                continue
            return
        raise Throttled(f"the ledger of {decision.model} is being written by too many at once")

    def entries(self, model: str) -> Iterator[Entry]:
        """A model's whole chain from its start."""
        return self._read(model, forward=True)

    def newest_first(self, model: str, *, without: Stage | None = None) -> Iterator[Entry]:
        """A model's whole chain from its end, without the decisions of one stage."""
        return self._read(model, forward=False, without=without)

    def last(self, model: str) -> Entry | None:
        """The chain's end; None where nothing was decided."""
        return next(self._read(model, forward=False, limit=1), None)

    def _read(
        self, model: str, *, forward: bool, limit: int | None = None, without: Stage | None = None
    ) -> Iterator[Entry]:
        # Within a text quotes are escaped: nothing but a decision's own stage reads so.
        stage = {":stage": {"S": f'"stage":"{without}"'}} if without else {}
        with translated(f"reading the ledger of {model}"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": model}, **stage},
                ExpressionAttributeNames={"#document": "document"},
                ProjectionExpression="#document",
                ScanIndexForward=forward,
                ConsistentRead=True,
                PaginationConfig={"MaxItems": limit} if limit else {},
                **({"FilterExpression": "NOT contains(#document, :stage)"} if without else {}),
            )
            for page in pages:
                for item in page["Items"]:
                    yield Entry.from_json(item["document"]["S"])

    def _put(self, item: dict[str, dict[str, str]]) -> dict[str, object]:
        return {"TableName": self._table, "Item": item, "ConditionExpression": _NEW}
