"""The whole loop on the deployed local cloud, for two models that share nothing but the code."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient

from cli import evidence, executions, export, history, inference, releases, uploads
from cli.executions import Run
from cli.inference import Prediction
from cli.target import Target
from interlock.records import TrainingManifest
from tests.door import Door, served

from . import instances
from .conftest import CENSUS, HOME, RENT, ROOT, ended, of, probed, rent_rows, started


def manifest(target: Target, model: str) -> TrainingManifest:
    live = evidence.live(target, model)
    assert live is not None
    assert live.champion is not None
    key = f"training/{model}/{live.champion.run}/manifest.json"
    body = target.client("s3").get_object(Bucket=target.outputs["DataBucket"], Key=key)["Body"].read()
    return TrainingManifest.from_json(body)


def native(target: Target, model: str) -> tuple[np.ndarray, dict[str, Any]]:
    """scikit-learn's own scores of the holdout, as the job wrote them, and what else it wrote."""
    s3, bucket = target.client("s3"), target.outputs["ArtefactsBucket"]
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f"jobs/{model}/")["Contents"]]
    run = manifest(target, model).run
    key = next(key for key in keys if run in key and key.endswith("output.tar.gz"))
    with tarfile.open(fileobj=io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())) as archive:
        scores = archive.extractfile("scores.npz")
        training = archive.extractfile("training.json")
        assert scores is not None
        assert training is not None
        return np.load(io.BytesIO(scores.read()))["scores"], json.loads(training.read())


def holdout(target: Target, model: str) -> list[dict[str, Any]]:
    found = manifest(target, model)
    path = HOME / "holdout.parquet"
    target.client("s3").download_file(found.holdout.bucket, found.holdout_features.key, str(path))
    con = duckdb.connect()
    cursor = con.execute("SELECT * FROM read_parquet(?)", [str(path)])
    names = [item[0] for item in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.mark.parametrize("model", [CENSUS, RENT])
def test_every_holdout_row_is_answered_as_scikit_learn_answers_it(
    target: Target, champions: dict[str, Run], model: str
) -> None:
    rows = holdout(target, model)
    wanted, training = native(target, model)
    assert len(rows) == len(wanted) > 100
    found = []
    for start in range(0, len(rows), 500):
        found += inference.predict(target, model, rows[start : start + 500])
    scores = np.array([item.score for item in found])
    native_scores = wanted[:, -1]
    difference = np.abs(scores - native_scores) / np.maximum(1, np.abs(native_scores))
    over = int((difference > 1e-5).sum())
    print(f"{model}: {len(rows)} rows, largest difference {difference.max():.2e}, float32 ties {over}")
    assert over <= 0.002 * len(rows)
    if model == CENSUS:
        labels = [item.label for item in found]
        said = np.where(native_scores >= training["threshold"], ">50K", "<=50K").tolist()
        assert sum(one != two for one, two in zip(labels, said, strict=True)) == 0


def test_the_protocols_own_client_is_served(target: Target, champions: dict[str, Run]) -> None:
    """tritonclient knows no SigV4: it speaks through a transport that signs, and judges everything else."""
    with signing_proxy(target) as address:
        client = InferenceServerClient(address)
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(CENSUS)
        metadata = client.get_model_metadata(CENSUS)
        assert metadata["platform"] == "onnx_onnxv1"
        assert {item["name"] for item in metadata["inputs"]} >= {"age", "workclass"}


def test_drifted_traffic_and_newer_data_end_in_a_new_version(target: Target, champions: dict[str, Run]) -> None:
    before = evidence.live(target, RENT)
    assert before is not None
    rows = [{"Größe (m²)": 300.0 + place, "stadtteil": "Mitte", "built": None, "balcony": True} for place in range(200)]
    answers = [inference.predict(target, RENT, rows[start : start + 50])[0] for start in range(0, len(rows), 50)]
    path = HOME / "newer.csv"
    path.write_text(rent_rows(600, seed=2))
    ended(target, uploads.run_of(target, uploads.send(target, RENT, path)), "Admitted")
    wait_for_captures(target, RENT, answers)

    checked = ended(target, executions.start(target, "monitor", {"model": RENT}), "Decided")
    found = history.show_drift(target, RENT)
    assert found["state"] == "drift"
    assert found["performed"]["estimated"]["mae"]["value"] > 0
    kept = target.client("s3").list_objects_v2(
        Bucket=target.outputs["DataBucket"], Prefix=f"captures/model={RENT}/day={checked.started:%Y-%m-%d}/"
    )["Contents"]
    assert any("/compact-" in item["Key"] for item in kept)
    drifted = {item["column"]: item for item in found["drift"]["columns"] if item["state"] == "drift"}
    assert {"Größe (m²)", "stadtteil", "built"} <= set(drifted)
    outcome = evidence.outcomes(target, RENT)[-1]
    assert outcome["action"] == "retrain", outcome["reason"]

    retrained = executions.wait_for(
        target,
        "train",
        checked.started,
        lambda run: of(run, RENT) and run.input["detail-type"] == "RetrainRequested" and started(run),
    )
    ended(target, retrained, "Done")
    released = executions.wait_for(
        target, "release", checked.started, lambda run: "flat-rents/2" in str(run.input) and probed(run)
    )
    ended(target, released, "Baking")
    answers = baked(target, before.revision)
    taken_back_within_seconds(target, answers)


def baked(target: Target, revision: int) -> dict[str, inference.Prediction]:
    """Version 2 gets half of the calls, is compared, and becomes champion by itself; answers one call of each."""
    live = evidence.live(target, RENT)
    assert live is not None
    assert (live.state, live.share, live.revision > revision) == ("baking", 0.5, True)
    rows = list(csv.DictReader(io.StringIO(rent_rows(150, seed=9)), delimiter=";"))
    features = ("Größe (m²)", "stadtteil", "built", "balcony")
    time.sleep(5)
    answers = [inference.predict(target, RENT, [{name: row[name] or None for name in features}])[0] for row in rows]
    by_version = {item.version: item for item in answers}
    assert set(by_version) == {"1", "2"}
    assert {item.revision for item in answers} == {live.revision}
    wait_for_captures(target, RENT, answers)
    for _ in range(60):
        said = releases.check(target, RENT)
        found = evidence.live(target, RENT)
        if found is not None and found.state == "live":
            break
        time.sleep(2)
    assert found is not None
    assert found.champion is not None
    assert found.champion.version == 2, said
    report = evidence.document(target, evidence.newest(target, RENT, "release"))
    print({item["id"]: (item["status"], item["value"]) for item in report["checks"]})
    assert report["outcome"] == "pass"
    assert {item["id"] for item in report["checks"] if item["status"] == "pass"} >= {"errors", "agreement"}
    return by_version


def taken_back_within_seconds(target: Target, answers: dict[str, inference.Prediction]) -> None:
    """A person's rollback reaches the callers, and the past stays known."""
    before = datetime.now(UTC)
    said = releases.rollback(target, RENT, "the test goes back")
    began = time.monotonic()
    assert (said["version"], said["taken_back"]) == (1, 2)
    row = {"Größe (m²)": 50.0, "stadtteil": "Nord", "built": 1990, "balcony": True}
    while (found := inference.predict(target, RENT, [row])[0]).version != "1":
        assert time.monotonic() - began < 30
    print(f"the first answer of version 1 came {time.monotonic() - began:.1f} s after the rollback")
    assert found.revision == said["revision"]
    for version, item in answers.items():
        told = releases.which(target, RENT, item.request_id, None)
        assert (str(told["version"]), told["revision"]) == (version, item.revision)
        assert told["role"] == ("champion" if version == "1" else "challenger")
    assert releases.at(target, RENT, before).evidence["champion"] == 2
    assert releases.at(target, RENT, datetime.now(UTC)).evidence["champion"] == 1
    actions = [item.action for item in releases.decisions(target, RENT)]
    assert actions[-4:] == ["release started", "step begun", "model promoted", "model rolled back"]


def test_a_person_approves_and_what_has_changed_since_is_refused(target: Target, champions: dict[str, Run]) -> None:
    live = evidence.live(target, RENT)
    assert live is not None
    assert live.champion is not None
    if live.challenger is not None:
        releases.rollback(target, RENT, "the test begins with one version")
    there = target.client("sagemaker").list_model_packages(ModelPackageGroupName=f"{target.stack}-{RENT}")
    arns = {item["ModelPackageVersion"]: item["ModelPackageArn"] for item in there["ModelPackageSummaryList"]}
    other = next((arn for version, arn in arns.items() if version > live.champion.version), None)
    if other is None:
        pytest.skip("no newer version was trained: the test of the loop has not run")
    registry = target.client("sagemaker")
    registry.update_model_package(ModelPackageArn=other, ModelApprovalStatus="PendingManualApproval")
    assert [item.arn for item in releases.waiting(target, RENT)] == [other]
    run = releases.approve(target, RENT, None, "it was the callers' fault")
    # Changed between the person's look and the release: refused, and still waiting.
    stale = {**executions.read(target, run).input}
    ended(target, run, "Baking")
    package = registry.describe_model_package(ModelPackageName=other)
    assert package["ModelApprovalStatus"] == "Approved"
    assert "it was the callers' fault" in package["ApprovalDescription"]
    assert "it was the callers' fault" in releases.decisions(target, RENT)[-2].actor
    sixteen_instances_follow(target)
    stale["detail"] = {**stale["detail"], "seen": "0" * 16}
    refused = ended(target, executions.start(target, "release", stale), "Failed")
    assert refused.error == "Refused"
    assert "changed since" in str(refused.message)


def sixteen_instances_follow(target: Target) -> None:
    """The baking version is promoted and taken back: nobody is answered under an older revision 10 s after either."""
    # The clock, which judges every minute, is not to be quicker than the test.
    releases.steer(target, RENT, "pause", "the test is about to promote it")
    row = {"Größe (m²)": 50.0, "stadtteil": "Nord", "built": 1990, "balcony": True}
    with instances.asked(target, RENT, [row]) as seen:
        releases.steer(target, RENT, "promote", "the test wants it")
        changes = [evidence.live(target, RENT)]
        time.sleep(6)
        releases.rollback(target, RENT, "the test goes back")
        changes.append(evidence.live(target, RENT))
        time.sleep(11)
    for live, version in zip(changes, ("2", "1"), strict=True):
        assert live is not None
        late = {item.instance: item.at - live.changed_at.timestamp() for item in seen if item.revision < live.revision}
        print(f"revision {live.revision}: the last answer under an older one came after {max(late.values()):.1f} s")
        assert len(late) == instances.COUNT
        assert max(late.values()) <= 10
        assert {item.version for item in seen if item.revision == live.revision} == {version}
    last = {item.instance: item.revision for item in seen}
    assert set(last.values()) == {changes[-1].revision if changes[-1] else None}
    assert len(last) == instances.COUNT


def test_every_decision_is_in_the_ledger_and_the_chain_holds(target: Target, champions: dict[str, Run]) -> None:
    entries = list(evidence.ledger(target, CENSUS))
    actions = [entry.decision.action for entry in entries]
    for action in ("dataset admitted", "model registered", "release started", "model promoted"):
        assert action in actions
    assert history.verified(entries) == len(entries)


def test_labels_are_taken_by_request_id(target: Target, champions: dict[str, Run]) -> None:
    answered = inference.predict(target, CENSUS, holdout(target, CENSUS)[:2])
    labels = [{"request_id": item.request_id, "row": item.row, "label": "<=50K"} for item in answered]
    assert inference.label(target, CENSUS, labels) == 2
    status, body, _ = target.call(
        "POST", f"/models/{CENSUS}/labels", b'{"labels":[{"request_id":"x","label":"maybe"}]}'
    )
    assert status == 400
    assert "label must be one of" in json.loads(body)["error"]


def test_captures_never_hold_a_restricted_value(target: Target, champions: dict[str, Run]) -> None:
    wait_for_captures(target, CENSUS, inference.predict(target, CENSUS, holdout(target, CENSUS)[:20]))
    logs = target.client("logs").filter_log_events(logGroupName="/aws/lambda/interlock-test-serve-infer")["events"]
    said = "".join(event["message"] for event in logs)
    assert '"interlock":"capture"' in said
    assert "United-States" not in said


def wait_for_captures(target: Target, model: str, answers: list[Prediction]) -> None:
    """Until the requests of these answers lie in the bucket."""
    client, bucket = target.client("s3"), target.outputs["DataBucket"]
    path, con = HOME / "captures.parquet", duckdb.connect()
    wanted, read = {answer.request_id for answer in answers}, set()
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"captures/model={model}/"):
            for key in {item["Key"] for item in page.get("Contents", [])} - read:
                client.download_file(bucket, key, str(path))
                found = con.execute("SELECT DISTINCT request_id FROM read_parquet(?)", [str(path)]).fetchall()
                wanted -= {request for (request,) in found}
                read.add(key)
        if not wanted:
            return
        time.sleep(0.5)
    pytest.fail(f"no captures of {wanted} arrived")


@contextmanager
def signing_proxy(target: Target) -> Iterator[str]:
    """A plain server on the loopback address that signs what it hands on."""

    class Signing(Door):
        def answer(self) -> None:
            body = self.came()
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            status, answer, _ = target.call(self.command, self.path, body)
            self.say(status, answer, {"content-type": "application/json"})

    with served(Signing) as url:
        yield url.removeprefix("http://")


def test_the_readmes_curl_line_answers(target: Target, champions: dict[str, Run]) -> None:
    import shlex
    import subprocess

    line = inference.curl(target, CENSUS, holdout(target, CENSUS)[:1])
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["outputs"][0]["name"] == "label"


def test_unsigned_and_wrongly_signed_callers_are_turned_away(target: Target, champions: dict[str, Run]) -> None:
    url = f"{target.outputs['ApiUrl'].rstrip('/')}/v2/models/{CENSUS}"
    host = url.split("/")[2]
    local = url.replace(host, f"127.0.0.1:{host.rsplit(':', 1)[1]}")
    assert httpx.get(local, headers={"host": host}).status_code == 403
    wrong = {
        "host": host,
        "x-amz-date": "20260101T000000Z",
        "authorization": "AWS4-HMAC-SHA256 Credential=AKIAWRONG/20260101/us-east-1/execute-api/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64,
    }
    assert httpx.get(local, headers=wrong).status_code == 403


def test_an_exported_folder_answers_the_same_without_a_cloud(
    target: Target, champions: dict[str, Run], tmp_path: Path
) -> None:
    """Its own pins alone in an environment, its own server, and every held-out row: the cloud's answers."""
    rows = holdout(target, CENSUS)[:500]
    wanted = inference.predict(target, CENSUS, rows)
    asked = inference.request(target, CENSUS, rows)
    found = export.export(target, CENSUS, None, tmp_path / "out")
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=found.folder, check=True)
    uv, env = str(ROOT / ".venv/bin/uv"), tmp_path / "env"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(env)], check=True)
    pins = ["--no-deps", "--require-hashes", "-r", str(Path(found.folder) / "requirements.txt")]
    subprocess.run([uv, "pip", "install", "--quiet", *pins], env={**os.environ, "VIRTUAL_ENV": str(env)}, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(env / "bin/uvicorn"), "serve.asgi:app", "--app-dir", "server", "--port", str(port)]
    bare = {"PATH": os.environ["PATH"]}
    with subprocess.Popen(command, cwd=found.folder, env=bare, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}/v2/models/{CENSUS}"
            deadline = time.monotonic() + 30
            while not answers(f"{url}/ready"):
                assert time.monotonic() < deadline, "the exported server does not start"
                time.sleep(0.2)
            answer = httpx.post(f"{url}/infer", json=asked).json()
        finally:
            server.terminate()
    outputs = {item["name"]: item["data"] for item in answer["outputs"]}
    assert outputs["label"] == [item.label for item in wanted]
    assert outputs["probability"] == [item.score for item in wanted]


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
