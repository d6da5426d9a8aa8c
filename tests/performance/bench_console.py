"""`make bench-console`: what the console's pages cost a function, of a model with 1,000 windows and 100 versions.

The handler and its adapters are the real ones; DynamoDB and S3 are a stand-in on the loopback address, in a process of
its own, which answers in pages of 1 MB as DynamoDB does. The floor is the page's own requests and nothing else, in
turns with it. The last line is one JSON object.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.door import Door

WINDOWS, VERSIONS, ROUNDS = 1000, 100, 15
_PAGE = 1 << 20
_BINS = tuple(str(place) for place in range(10))


class Stored:
    """Tables and buckets as the pages read them."""

    def __init__(self) -> None:
        import tests.unit.conftest  # noqa: F401 - what a function finds in its environment
        from tests.unit.console.past import lived
        from tests.unit.console.world import World

        world = World(models={})
        columns = {f"column {place}": _BINS for place in range(14)}
        self.life = lived(world, datetime.now(UTC), WINDOWS, VERSIONS, columns)
        self.model = self.life.model
        self.tables = {
            "state": {key: item.document for key, item in world.state.items.items()},
            "ledger": {
                (model, f"{entry.sequence:09}"): entry.to_json()
                for model, chain in world.ledger.chains.items()
                for entry in chain
            },
        }
        self.objects = {
            f"/{bucket.bucket}/{key}": bucket.read(key)
            for bucket in (world.data, world.artefacts)
            for key in bucket.newest
        }

    def get(self, asked: dict[str, Any]) -> dict[str, Any]:
        key = (asked["Key"]["pk"]["S"], asked["Key"]["sk"]["S"])
        document = self.tables[asked["TableName"]].get(key)
        return {"Item": _item(document)} if document else {}

    def query(self, asked: dict[str, Any]) -> dict[str, Any]:
        values = asked["ExpressionAttributeValues"]
        pk, prefix = values[":pk"]["S"], values.get(":sk", {}).get("S", "")
        table, forward = self.tables[asked["TableName"]], asked.get("ScanIndexForward", True)
        keys = sorted((key for key in table if key[0] == pk and key[1].startswith(prefix)), reverse=not forward)
        if start := asked.get("ExclusiveStartKey"):
            sk = next(iter(start["sk"].values()))
            keys = [key for key in keys if (key[1] > sk if forward else key[1] < sk)]
        found: list[dict[str, Any]] = []
        size = 0
        last: dict[str, Any] = {}
        for read, key in enumerate(keys):
            if size >= _PAGE or read == asked.get("Limit"):
                return {"Items": found, "Count": len(found), "LastEvaluatedKey": last}
            size += len(table[key]) + 64
            last = {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
            # The one filter that there is.
            if ":stage" not in values or values[":stage"]["S"] not in table[key]:
                found.append(_item(table[key]))
        return {"Items": found, "Count": len(found)}


def _item(document: str) -> dict[str, Any]:
    return {"document": {"S": document}}


def cloud(stored: Stored, ready: Connection) -> None:
    """Serve until this process ends. `/count` answers how many requests there were since, and how many bytes left."""
    told = [0, 0]

    class Answers(Door):
        def answer(self) -> None:
            if self.command == "GET":
                self._object()
                return
            asked = json.loads(self.came())
            verb = self.headers["x-amz-target"].rpartition(".")[2]
            answer = {"GetItem": stored.get, "Query": stored.query}[verb](asked)
            self._counted(200, json.dumps(answer).encode())

        def _object(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path == "/count":
                body = json.dumps(told).encode()
                told[:] = [0, 0]
                self.say(200, body)
            elif path in stored.objects:
                self._counted(200, stored.objects[path])
            else:
                self._counted(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def _counted(self, status: int, body: bytes) -> None:
            told[0] += 1
            told[1] += len(body)
            self.say(status, body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    ready.send(server.server_port)
    server.serve_forever()


def main() -> None:
    stored = Stored()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=cloud, args=(stored, there), daemon=True)
    process.start()
    address = f"http://127.0.0.1:{here.recv()}"
    os.environ |= {
        "AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "ENVIRONMENT": "bench",
        "STATE_TABLE": "state", "LEDGER_TABLE": "ledger", "DATA_BUCKET": "data", "ARTEFACTS_BUCKET": "artefacts",
    }  # fmt: skip
    try:
        print(json.dumps(measured(stored, address)))
    finally:
        process.terminate()
        process.join()


def measured(stored: Stored, address: str) -> dict[str, float]:
    """Print the table; answers the model page's figures."""
    import urllib.request

    import console.show
    from tests.unit.console.world import get

    model = stored.model
    sources = console.show.sources()._replace(deployed=lambda _model: model)
    console.show.sources = lambda: sources  # type: ignore[assignment]
    console.show.deployed_ids = lambda: (model.id,)  # type: ignore[assignment]
    live = stored.life.live
    assert live is not None
    assert live.champion is not None
    base = f"/console/models/{model.id}"
    pages = {
        "models": "/console",
        "model": base,
        "run": f"{base}/runs/{live.champion.run}",
        "window": f"{base}/windows/{stored.life.outcomes[-1].window}",
    }

    def count() -> list[int]:
        with urllib.request.urlopen(f"{address}/count") as answer:
            found: list[int] = json.loads(answer.read())
            return found

    reads: dict[str, Callable[[], object]] = {
        "models": lambda: _read(model.id, windows=1),
        "model": lambda: _read(model.id, windows=None, newest=stored.life.outcomes[-1].window),
    }
    decisions = len(stored.tables["ledger"])
    print(f"{len(stored.life.outcomes):,} windows, {stored.life.version} versions, {decisions:,} decisions")
    print("page         ms  processor  floor  ratio  requests  read, KB  sent, KB")
    answer = {}
    for name, path in pages.items():
        get(path, packed=True, span="all")
        count()
        status, body, _ = get(path, packed=True, span="all")
        assert status == 200, body
        requests, size = count()
        taken, floor = [], []
        for _ in range(ROUNDS):
            taken.append(_timed(lambda path=path: get(path, packed=True, span="all")))  # type: ignore[misc]
            floor.append(_timed(reads.get(name, lambda: None)))
        wall, processor = (1e3 * statistics.median(each[place] for each in taken) for place in (0, 1))
        least = 1e3 * statistics.median(each[0] for each in floor)
        ratio = f"{wall / least:.2f}" if name in reads else ""
        print(
            f"{name:8} {wall:6.0f} {processor:10.0f} {least if name in reads else 0:6.0f} {ratio:>6} {requests:9}"
            f" {size / 1e3:9.0f} {len(body) / 1e3:9.0f}"
        )
        answer |= {
            f"{name}_ms": round(wall, 1),
            f"{name}_processor_ms": round(processor, 1),
            f"{name}_requests": requests,
        }
        if name == "model":
            answer["model_ratio"] = round(wall / least, 2)
    return answer


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def _read(model: str, windows: int | None, newest: str | None = None) -> None:
    """The requests of a page, made by the client, and their answers thrown away."""
    from interlock.aws.client import client

    table, pk = client("dynamodb"), {":pk": {"S": f"model#{model}"}}
    starts = ("window#",) if windows else ("window#", "window#", "dataset#", "repeat#")
    for place, start in enumerate(starts):
        limit = {"MaxItems": 1, "PageSize": 1} if windows or place == 1 else {}
        for _ in table.get_paginator("query").paginate(
            TableName="state",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeNames={"#document": "document"},
            ProjectionExpression="#document",
            ExpressionAttributeValues={**pk, ":sk": {"S": start}},
            ScanIndexForward=False,
            PaginationConfig=limit,
        ):
            pass
    table.get_item(TableName="state", Key={"pk": pk[":pk"], "sk": {"S": "live"}})
    if newest is not None:
        table.get_item(TableName="state", Key={"pk": pk[":pk"], "sk": {"S": "lease#train"}})
        for _ in table.get_paginator("query").paginate(
            TableName="ledger",
            KeyConditionExpression="pk = :pk",
            FilterExpression="NOT contains(#document, :stage)",
            ExpressionAttributeNames={"#document": "document"},
            ExpressionAttributeValues={":pk": {"S": model}, ":stage": {"S": '"stage":"monitor"'}},
            ProjectionExpression="#document",
            ScanIndexForward=False,
        ):
            pass
        key = f"reports/{model}/monitor/{newest}/report.json"
        client("s3").get_object(Bucket="data", Key=key)["Body"].read()


if __name__ == "__main__":
    main()
