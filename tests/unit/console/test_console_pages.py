"""The console's frame: what every page promises, whatever is on it."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from console.assets import found, url
from console.routes import ROUTES
from infra.console import MODEL_PATHS, PATHS
from interlock.records import Check as GateCheck
from interlock.records import CheckStatus, Verdict
from tests.unit.console.world import NOW, World, flats, get, live, window

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World().serve(monkeypatch)
    made.release(live())
    made.check(window())
    made.decide("model registered")
    verdict = Verdict(
        model="flats", run="20260301-100000-abcdef", passed=True, threshold=0.5, champion_version=None,
        holdout_rows=10, decided_at=NOW,
        checks=(GateCheck(id="metric:roc_auc", title="ROC AUC", status=CheckStatus.PASS, value=0.9),),
    )  # fmt: skip
    made.data.put("reports/flats/train/20260301-100000-abcdef/report.json", verdict.to_json().encode())
    return made


PAGES = (
    "/console",
    "/console/openapi",
    "/console/models/flats",
    "/console/models/flats/runs/20260301-100000-abcdef",
    "/console/models/flats/windows/20260301T120000-v3",
)


def test_the_api_has_the_routes_that_are_answered() -> None:
    given = [*PATHS, *("/console/models/{model}" + path for path in MODEL_PATHS)]
    assert sorted(given) == sorted(route.path for route in ROUTES)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_needs_nothing_inline_and_nothing_from_elsewhere(world: World, path: str) -> None:
    status, body, headers = get(path)
    assert status == 200, body
    assert headers["content-type"] == "text/html; charset=utf-8"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert "<style" not in body
    assert " style=" not in body
    assert not re.search(r"<script(?! src=)", body)
    assert not re.search(r"\son\w+=", body)
    for address in re.findall(r"(?:href|src)=\"([^\"]*)\"", body):
        assert address.startswith(("/", "#")), address
    for landmark in ('<main id="main"', "<nav aria-label", "<h1>", '<html lang="en"', 'href="#main"'):
        assert landmark in body, landmark


@pytest.mark.parametrize("path", PAGES)
def test_every_link_of_a_page_leads_to_a_page(world: World, path: str) -> None:
    for address in set(re.findall(r"href=\"(/console[^\"]*)\"", get(path)[1])):
        if "/reports/" not in address:
            assert get(re.split("[?#]", address)[0])[0] == 200, address


def test_the_overview_says_what_serves_and_what_the_last_check_found(world: World) -> None:
    world.models["rents"] = flats("rents")
    body = get("/console")[1]
    assert "version 3" in body
    assert "stable" in body
    assert "nothing yet" in body
    assert "not checked yet" in body


def test_text_from_data_is_never_markup(world: World) -> None:
    world.models["flats"] = flats(description=HOSTILE)
    world.check(window(reason=HOSTILE, state="drift"))
    world.decide(HOSTILE, subject=HOSTILE, actor=HOSTILE)
    for path in PAGES:
        assert HOSTILE not in get(path)[1]
    assert "&lt;script&gt;" in get("/console/models/flats")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/console/nothing",
        f"/console/{HOSTILE}",
        "/console/models/unknown",
        "/console/models/flats/runs/none",
        "/console/models/flats/windows/20260301T120000-v4",
        "/console/models/flats/reports/ingest/none/report.html",
        "/console/models/flats/reports/../x/report.html",
        "/console/models/flats/reports/train/../report.html",
        "/console/models/flats/reports/train/20260301-100000-abcdef/report.exe",
        "/console/assets/console.css",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(world: World, path: str) -> None:
    status, body, headers = get(path)
    assert status == 404
    assert HOSTILE not in body
    assert "<h1>There is nothing here</h1>" in body
    assert "unsafe" not in headers["content-security-policy"]


def test_a_fault_shows_nothing_of_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.state, "get", lambda *_: 1 / 0)
    status, body, _ = get("/console")
    assert status == 500
    assert "division" not in body
    assert "request-1" in body


def test_styles_and_scripts_may_be_kept_for_ever_and_change_their_name(world: World) -> None:
    status, body, headers = get(url("console.css"))
    assert status == 200
    assert "immutable" in headers["cache-control"]
    assert headers["content-type"].startswith("text/css")
    assert "--ink" in body
    assert ".bar" in body
    for name, asset in found().items():
        assert hashlib.sha256(asset.body).hexdigest()[:12] in name


def test_pages_are_packed_for_those_who_take_that(world: World) -> None:
    plain, packed = get("/console"), get("/console", packed=True)
    assert packed[1] == plain[1]
    assert packed[2]["content-encoding"] == "gzip"
    assert "content-encoding" not in plain[2]


def test_a_report_is_shown_with_the_very_styles_it_was_written_with(world: World) -> None:
    page = b"<!doctype html><style>b { color: red }</style><b>1</b>"
    world.data.put("reports/flats/monitor/w/report.html", page)
    status, body, headers = get("/console/models/flats/reports/monitor/w/report.html")
    assert (status, body.encode()) == (200, page)
    digest = base64.b64encode(hashlib.sha256(b"b { color: red }").digest()).decode()
    assert f"style-src 'sha256-{digest}';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    world.artefacts.put("models/flats/20260301-100000-abcdef/card.html", page)
    assert get("/console/models/flats/reports/card/20260301-100000-abcdef/card.html")[1].encode() == page


def test_a_token_shows_the_models_whose_scope_it_holds(world: World) -> None:
    world.models["rents"] = flats("rents")
    assert "rents" in get("/console")[1]
    status, body, _ = get("/console", scope="flats/read flats/infer")
    assert status == 200
    assert "flats" in body
    assert "rents" not in body
    assert get("/console/models/rents", scope="flats/read")[0] == 404
    assert get("/console/models/rents", scope="*/read")[0] == 200
    assert get("/console", scope="flats/infer")[0] == 403
