"""The other doors, and who is let through them, against the deployed endpoint."""

from __future__ import annotations

import json
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cli import inference
from cli.executions import Run
from cli.proxy import Proxy
from cli.target import Target

from .conftest import CENSUS, RENT, ROOT
from .test_bad_requests import ROW


def send(target: Target, path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> httpx.Response:
    """As it is, to the loopback address."""
    parts = urlsplit(target.outputs["ApiUrl"])
    url = f"http://127.0.0.1:{parts.port}{path}"
    return httpx.request(method, url, content=body, headers={**headers, "host": parts.netloc})


def signed(
    target: Target, path: str, body: bytes, monkeypatch: pytest.MonkeyPatch | None = None, age: int = 0
) -> dict[str, str]:
    """botocore's own signature, perhaps of an earlier time."""
    if monkeypatch is not None:
        then = (datetime.now(UTC) - timedelta(seconds=age)).replace(tzinfo=None)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: then)
    host = urlsplit(target.outputs["ApiUrl"]).netloc
    request = AWSRequest(
        "POST", f"http://{host}{path}", data=body, headers={"host": host, "content-type": "application/json"}
    )
    SigV4Auth(target.session.get_credentials(), "execute-api", target.session.region_name).add_auth(request)
    return dict(request.headers.items())


def test_rows_csv_and_the_description_are_behind_signed_routes(target: Target, champions: dict[str, Run]) -> None:
    wanted = inference.predict(target, CENSUS, [ROW])[0]
    status, body, headers = target.call("POST", f"/models/{CENSUS}/predict", json.dumps({"rows": [ROW]}).encode())
    assert status == 200, body
    answer = json.loads(body)
    assert answer["predictions"] == [{"label": wanted.label, "probability": wanted.score}]
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    status, body, _ = target.call(
        "POST", f"/models/{CENSUS}/predict", json.dumps({"rows": [ROW | {"age": 300}]}).encode()
    )
    assert status == 400
    assert json.loads(body)["fields"] == [{"row": 0, "column": "age", "message": "must be at most 120"}]
    status, body, _ = target.call("POST", f"/models/{CENSUS}/invocations", json.dumps({"instances": [ROW]}).encode())
    assert json.loads(body)["predictions"] == answer["predictions"]
    assert target.call("GET", f"/models/{CENSUS}/ping")[0] == 200
    described: dict[str, Any] = json.loads(target.call("GET", "/openapi.json")[1])
    assert described["openapi"] == "3.1.0"
    assert f"/models/{CENSUS}/predict" in described["paths"]


def test_only_a_whole_fresh_signature_is_taken(
    target: Target, champions: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/models/{CENSUS}/predict"
    body = json.dumps({"rows": [ROW]}).encode()
    assert send(target, path, body, signed(target, path, body)).status_code == 200
    # The administrator's key is not checked by the emulator: a user's is.
    user = target.client("iam").create_access_key(UserName=_caller(target, CENSUS))["AccessKey"]
    monkeypatch.setattr(target.session, "get_credentials", lambda: _credentials(user))
    assert send(target, path, body, signed(target, path, body)).status_code == 200
    tampered = body.replace(b'"age": 45', b'"age": 46')
    other = f"/models/{RENT}/predict"
    good = signed(target, path, body)
    refused = {
        "unsigned": send(target, path, body, {"content-type": "application/json"}),
        "another body": send(target, path, tampered, good),
        "another path": send(target, other, body, good),
        "no date": send(target, path, body, {name: good[name] for name in good if name.lower() != "x-amz-date"}),
        "another model": send(target, other, body, signed(target, other, body)),
        "old": send(target, path, body, signed(target, path, body, monkeypatch, age=3600)),
        "from tomorrow": send(target, path, body, signed(target, path, body, monkeypatch, age=-86_400)),
    }
    wrong = {**user, "SecretAccessKey": user["SecretAccessKey"][::-1]}
    monkeypatch.setattr(target.session, "get_credentials", lambda: _credentials(wrong))
    refused["another secret"] = send(target, path, body, signed(target, path, body, monkeypatch))
    monkeypatch.setattr(target.session, "get_credentials", lambda: _credentials(user))
    target.client("iam").delete_access_key(UserName=user["UserName"], AccessKeyId=user["AccessKeyId"])
    refused["a deleted key"] = send(target, path, body, signed(target, path, body, monkeypatch))
    assert {what: answer.status_code for what, answer in refused.items()} == dict.fromkeys(refused, 403)
    assert all("message" in answer.json() or "Message" in answer.json() for answer in refused.values())


def test_kserves_own_client_is_answered(target: Target, champions: dict[str, Run]) -> None:
    """In its own environment and through the signing proxy: the client cannot sign."""
    inputs = inference.request(target, CENSUS, [ROW, ROW | {"age": 60}])["inputs"]
    wanted = inference.predict(target, CENSUS, [ROW, ROW | {"age": 60}])
    with Proxy(target.outputs["ApiUrl"], target.session) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        words = [ROOT / ".interlock/envs/kserve/bin/python", Path(__file__).with_name("kserve_client.py")]
        done = subprocess.run(
            [*words, proxy.origin, proxy.bearer, CENSUS],
            input=json.dumps(inputs),
            capture_output=True,
            text=True,
            check=False,
        )
        proxy.shutdown()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["live"], found["ready"], found["model_ready"], found["nobody_ready"]) == (True, True, True, False)
    assert (found["id"], found["model_name"]) == ("mine", CENSUS)
    assert found["outputs"]["label"] == [item.label for item in wanted]
    assert found["outputs"]["probability"] == pytest.approx([item.score for item in wanted], abs=1e-6)
    status, said = found["refused"]
    assert status == 400
    assert "inputs are missing: age" in said


def _credentials(key: dict[str, str]) -> Any:
    from botocore.credentials import Credentials

    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def _caller(target: Target, model: str) -> str:
    """A user who may ask for one model's predictions and nothing else."""
    iam, name = target.client("iam"), f"only-{model}"
    iam.create_user(UserName=name)
    api = urlsplit(target.outputs["ApiUrl"]).netloc.split(".")[0]
    resource = f"arn:aws:execute-api:{target.session.region_name}:*:{api}/*/POST/models/{model}/*"
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName="ask", PolicyDocument=json.dumps(policy))
    return name
