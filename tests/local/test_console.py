"""`interlock console` as it is run, before the deployed API: a browser's way, a client's, and a real Prometheus."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cli import inference
from cli.executions import Run
from cli.proxy import Proxy
from cli.target import Target
from tests import browser
from tests.unit.console.world import expressions

from .conftest import CENSUS, HOME, RENT, ROOT, denied
from .test_bad_requests import ROW

# The tests' cloud lies beside the user's, where the command does not look by itself.
_COMMAND = """
import sys
from pathlib import Path
import cli.target
from cli.main import main
from localcloud.supervisor import LocalCloud
home = Path(sys.argv.pop(1))
load = LocalCloud.load
cli.target.LocalCloud.load = lambda: load(home)
main()
"""


@dataclass
class Console:
    """The command at work."""

    process: subprocess.Popen[str]
    url: str
    origin: str
    bearer: str

    def get(self, path: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.bearer}"}
        return httpx.get(self.origin + path, headers=headers, trust_env=False, timeout=30)


@pytest.fixture(scope="module")
def console(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    token = tmp_path_factory.mktemp("console") / "token"
    words = ["--env", "test", "--json", "console", "--no-open", "--token-file", str(token)]
    process = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, str(HOME), *words], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        told, lines = None, ""
        while told is None:
            line = process.stdout.readline()
            assert line, lines
            lines += line
            told = json.loads(lines) if line == "}\n" else None
        assert token.read_text().strip() == told["bearer"]
        yield Console(process, **told)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0, "Ctrl-C ends it in order"


def test_a_browser_reads_and_predicts_and_nobody_else_does(console: Console, champions: dict[str, Run]) -> None:
    with httpx.Client(base_url=console.origin, follow_redirects=True, trust_env=False, timeout=30) as browser:
        page = browser.get(console.url)
        assert page.url.path == "/console"
        assert page.status_code == 200
        assert CENSUS in page.text
        assert RENT in page.text
        assert "unsafe" not in page.headers["content-security-policy"]
        run = f"/console/models/{CENSUS}/runs/{champions[CENSUS].name}"
        assert browser.get(run).status_code in {200, 404}
        model = browser.get(f"/console/models/{CENSUS}")
        assert '<span class="badge good">passed</span>' in model.text
        path, body = f"/models/{CENSUS}/predict", {"rows": [ROW]}
        assert browser.post(path, json=body).status_code == 403
        answer = browser.post(path, json=body, headers={"origin": console.origin})
        assert answer.json()["predictions"][0]["label"] in {"<=50K", ">50K"}
    assert httpx.get(console.url, trust_env=False).status_code == 403
    assert httpx.get(console.origin + "/console", trust_env=False).status_code == 401


def test_a_client_that_cannot_sign_gets_the_same_answer(
    console: Console, target: Target, champions: dict[str, Run]
) -> None:
    asked = inference.request(target, CENSUS, [ROW])
    headers = {"authorization": f"Bearer {console.bearer}"}
    assert console.get("/v2").json()["name"] == "interlock"
    assert target.call("GET", "/v2")[0] == 200
    answer = httpx.post(f"{console.origin}/v2/models/{CENSUS}/infer", json=asked, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    outputs = {item["name"]: item["data"] for item in answer.json()["outputs"]}
    assert outputs["probability"][0] == inference.predict(target, CENSUS, [ROW])[0].score


def test_a_real_browser_opens_the_printed_address_and_asks_by_the_form(
    target: Target, champions: dict[str, Run], tmp_path: Path
) -> None:
    if browser.FOUND is None:
        pytest.skip("there is no chromium on this machine; on Debian, apt-get install chromium")
    proxy = Proxy(target.outputs["ApiUrl"], target.session)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    try:
        with browser.started(tmp_path / "profile") as tab:
            tab.open(proxy.url)
            assert tab.value("location.pathname") == "/console"
            assert tab.value("document.cookie") == "", "no script sees the secret"
            tab.open(f"{proxy.origin}/console/openapi")
            fill = f"""
                const form = document.querySelector('form[data-path="/models/{CENSUS}/predict"]');
                form.closest("details").open = true;
                const row = {json.dumps(ROW)};
                for (const field of form.querySelectorAll("[data-name]"))
                    field.value = row[field.dataset.name] ?? "";
                form.querySelector("button").click();
            """
            tab.value(fill)
            shown = f"document.querySelector('form[data-path=\"/models/{CENSUS}/predict\"] pre').textContent"
            deadline = time.monotonic() + 20
            while not str(answer := tab.value(shown)).startswith("200") and time.monotonic() < deadline:
                time.sleep(0.1)
            status, _, document = str(answer).partition("\n")
            assert status == "200", answer
            wanted = inference.predict(target, CENSUS, [ROW])[0]
            assert json.loads(document)["predictions"] == [{"label": wanted.label, "probability": wanted.score}]
            assert tab.complaints == []
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()


def test_without_permissions_a_page_fails_and_predictions_do_not(
    console: Console, target: Target, champions: dict[str, Run]
) -> None:
    with denied(target, "console-show"):
        failed = console.get("/console")
        assert failed.status_code == 500
        assert "AccessDenied" not in failed.text
        assert inference.predict(target, CENSUS, [ROW])[0].label
    assert console.get("/console").status_code == 200


def test_prometheus_scrapes_through_the_proxy_and_answers(
    console: Console, champions: dict[str, Run], tmp_path: Path
) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("there is no prometheus on this machine; on Debian, apt-get install prometheus")
    token = tmp_path / "token"
    token.write_text(console.bearer)
    job = {
        "job_name": "interlock",
        "metrics_path": "/metrics",
        "authorization": {"credentials_file": str(token)},
        "static_configs": [{"targets": [console.origin.removeprefix("http://")]}],
    }
    config = tmp_path / "prometheus.yml"
    config.write_text(
        yaml.safe_dump({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [job]})
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            *(prometheus, f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}"),
            *(f"--web.listen-address={address}", "--log.level=warn"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "log").open("w"),
    )
    try:
        found = _asked(address, f'interlock_serving_version{{model="{CENSUS}",role="champion"}}', tmp_path / "log")
        assert [item["value"][1] for item in found] == ["1"]
        assert _asked(address, 'count(interlock_datasets{job="interlock"})', tmp_path / "log")[0]["value"][1] == "5"
        (rows,) = _asked(address, f'sum(interlock_dataset_rows{{model="{RENT}",use!="bad"}})', tmp_path / "log")
        assert float(rows["value"][1]) >= 1500
        for query in expressions(json.loads((ROOT / "docs/grafana.json").read_text("utf-8"))):
            if not query.startswith(("label_values", "prometheus")):
                asked = {"query": query.replace("$model", ".*")}
                answer = httpx.get(f"http://{address}/api/v1/query", params=asked, trust_env=False).json()
                assert answer["status"] == "success", (query, answer)
    finally:
        process.terminate()
        process.wait(10)


def _asked(address: str, query: str, log: Path, seconds: float = 30) -> list[dict[str, Any]]:
    """What Prometheus answers, as soon as it knows something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"http://{address}/api/v1/query", params={"query": query}, trust_env=False).json()
        except httpx.TransportError:
            answer = {"status": "starting"}
        if answer["status"] == "success" and answer["data"]["result"]:
            found: list[dict[str, Any]] = answer["data"]["result"]
            return found
        time.sleep(0.2)
    raise AssertionError(f"{query}: {answer}\n{log.read_text()[-2000:]}")
