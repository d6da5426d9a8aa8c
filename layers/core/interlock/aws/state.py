"""DynamoDB table `state`: what moves. One item a document, changed by conditional writes only.

An item is {pk, sk, document} plus what its conditions need: owner, expires_at (seconds since the epoch), revision.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from interlock.aws.client import client, code, translated
from interlock.schema import Model

M = TypeVar("M", bound=Model)
_FAILED = "ConditionalCheckFailedException"


class State:
    """The table's documents. pk names the owner (`model#<id>`, `claim#…`), sk the document."""

    def __init__(self, table: str, dynamodb: Any = None) -> None:
        """The table, by this process's own client where none is given."""
        self._table = table
        self._dynamodb = dynamodb or client("dynamodb")

    def get(self, kind: type[M], pk: str, sk: str) -> M | None:
        """The document, read consistently; None when there is none."""
        with translated(f"reading state {pk}/{sk}"):
            answer = self._dynamodb.get_item(TableName=self._table, Key=_key(pk, sk), ConsistentRead=True)
        item = answer.get("Item")
        return kind.from_json(item["document"]["S"]) if item else None

    def query(
        self,
        kind: type[M],
        pk: str,
        prefix: str = "",
        *,
        newest_first: bool = False,
        limit: int | None = None,
        beyond: str | None = None,
    ) -> Iterator[M]:
        """All documents of an owner whose sk starts with the prefix, by sk; no more than `limit` are read and paid.

        With `beyond`, those that come after this sk, which need not be there.
        """
        with translated(f"reading state {pk}/{prefix}*"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk" + (" AND begins_with(sk, :sk)" if prefix else ""),
                ExpressionAttributeValues={":pk": {"S": pk}, **({":sk": {"S": prefix}} if prefix else {})},
                ExpressionAttributeNames={"#document": "document"},
                ProjectionExpression="#document",
                ScanIndexForward=not newest_first,
                ConsistentRead=True,
                PaginationConfig={"MaxItems": limit, "PageSize": limit} if limit else {},
                **({"ExclusiveStartKey": _key(pk, beyond)} if beyond else {}),
            )
            for page in pages:
                for item in page["Items"]:
                    yield kind.from_json(item["document"]["S"])

    def put(self, pk: str, sk: str, document: Model) -> None:
        """Write a document, whatever was there."""
        self._put(pk, sk, document)

    def put_new(self, pk: str, sk: str, document: Model) -> bool:
        """Write a document unless there is one; answers whether it was written."""
        return self._put(pk, sk, document, ConditionExpression="attribute_not_exists(pk)")

    def acquire(self, pk: str, sk: str, document: Model, *, owner: str, expires_at: float) -> bool:
        """Write a document that one owner holds until it expires.

        Answers whether the owner has it now: nobody held it, the holder's time was over, or it was the owner's.
        """
        return self._put(
            pk,
            sk,
            document,
            {"owner": {"S": owner}, "expires_at": {"N": str(int(expires_at))}},
            ConditionExpression="attribute_not_exists(pk) OR #owner = :owner OR expires_at < :now",
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":owner": {"S": owner}, ":now": {"N": str(int(time.time()))}},
        )

    def replace_revision(
        self, pk: str, sk: str, document: Model, *, revision: int, expected: int | None, kept: str, force: bool = False
    ) -> bool:
        """Write a document's next revision if the stored one is as expected (None: there is none), or by force.

        The same document is kept under the sk `kept`, where nothing may be yet: both are written, or neither.
        """
        new: dict[str, object] = {"ConditionExpression": "attribute_not_exists(pk)"}
        condition = {} if force else new
        if expected is not None and not force:
            condition = {
                "ConditionExpression": "revision = :expected",
                "ExpressionAttributeValues": {":expected": {"N": str(expected)}},
            }
        document_ = {"document": {"S": document.to_json()}, "revision": {"N": str(revision)}}
        try:
            with translated(f"writing state {pk}/{sk}"):
                self._dynamodb.transact_write_items(
                    TransactItems=[
                        {"Put": {"TableName": self._table, "Item": {**_key(pk, place), **document_}, **only_if}}
                        for place, only_if in ((sk, condition), (kept, new))
                    ]
                )
        except ClientError as error:
            if code(error) in {"TransactionCanceledException", "TransactionConflictException"}:
                return False
            raise
        return True

    def delete(self, pk: str, sk: str, *, owner: str | None = None) -> bool:
        """Remove a document (the owner's only, when one is named); answers whether it is gone."""
        condition = (
            {
                "ConditionExpression": "attribute_not_exists(pk) OR #owner = :owner",
                "ExpressionAttributeNames": {"#owner": "owner"},
                "ExpressionAttributeValues": {":owner": {"S": owner}},
            }
            if owner
            else {}
        )
        try:
            with translated(f"deleting state {pk}/{sk}"):
                self._dynamodb.delete_item(TableName=self._table, Key=_key(pk, sk), **condition)
        except ClientError as error:
            if code(error) == _FAILED:
                return False
            raise
        return True

    def _put(
        self,
        pk: str,
        sk: str,
        document: Model,
        extra: dict[str, dict[str, str]] | None = None,
        **condition: object,
    ) -> bool:
        item = {**_key(pk, sk), "document": {"S": document.to_json()}, **(extra or {})}
        try:
            with translated(f"writing state {pk}/{sk}"):
                self._dynamodb.put_item(TableName=self._table, Item=item, **condition)
        except ClientError as error:
            if code(error) == _FAILED:
                return False
            raise
        return True


def _key(pk: str, sk: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}
