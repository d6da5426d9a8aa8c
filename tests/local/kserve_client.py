"""KServe's own client asks a server of the protocol; run in its environment. Prints what it was answered as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from httpx import HTTPStatusError
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


async def asked(url: str, bearer: str, model: str, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """What the client makes of the server's answers to a good request and to one whose first input is missing."""
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    headers = {"authorization": f"Bearer {bearer}"}
    given = [InferInput(item["name"], item["shape"], item["datatype"], data=item["data"]) for item in inputs]
    answer = await client.infer(url, InferRequest(model, given, request_id="mine"), model, headers=dict(headers))
    try:
        await client.infer(url, InferRequest(model, given[1:]), model, headers=dict(headers))
    except HTTPStatusError as error:
        refused = [error.response.status_code, str(error)]
    else:
        refused = []
    found = {
        "live": await client.is_server_live(url, headers=headers),
        "ready": await client.is_server_ready(url, headers=headers),
        "model_ready": await client.is_model_ready(url, model, headers=headers),
        "nobody_ready": await client.is_model_ready(url, "nobody", headers=headers),
        "id": answer.id,
        "model_name": answer.model_name,
        "outputs": {item.name: item.as_numpy().tolist() for item in answer.outputs},
        "refused": refused,
    }
    await client.close()
    return found


if __name__ == "__main__":
    url, bearer, model = sys.argv[1:]
    print(json.dumps(asyncio.run(asked(url, bearer, model, json.load(sys.stdin)))))
