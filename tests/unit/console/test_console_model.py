"""The pages of a model that has lived: what they show, whatever is in the data, and how they lie in a browser."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

import console.show
from console.assets import found, url
from console.pages import model as model_page
from console.sources import Sources
from interlock.cells import visible
from tests import browser
from tests.browser import Browser, started
from tests.unit.console.past import Life, lived
from tests.unit.console.served import served
from tests.unit.console.world import World, get, window

BASE = "/console/models/census-income"
HOSTILE = "</script><img src=x onerror=alert(1)>'\" style=\u202e&"


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    """Two months of a model whose columns and categories have names that nobody should have to expect."""
    world = World(models={})
    columns = {
        "age": ("below 25", "from 25"),
        "hours_per_week": tuple(f"{HOSTILE}{place}" for place in range(20)),
        HOSTILE: ("one", "two", "(other)"),
    }
    until = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    made = lived(world, until, windows=60, versions=4, columns=columns)
    sources = Sources(world.state, world.ledger, world.data, world.artefacts, world.models.__getitem__)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console.show, "sources", lambda: sources)
        patch.setattr(console.show, "deployed_ids", lambda: tuple(sorted(world.models)))
        yield made


def pages(life: Life) -> dict[str, str]:
    assert life.live is not None
    assert life.live.champion is not None
    drifted = [outcome.window for outcome in life.outcomes if outcome.state == "drift"]
    return {
        "overview": "/console",
        "model": BASE,
        "all": f"{BASE}?rows=all",
        "run": f"{BASE}/runs/{life.live.champion.run}",
        "window": f"{BASE}/windows/{drifted[-1]}",
        "report": f"{BASE}/reports/monitor/{drifted[-1]}/report.html",
    }


def page(life: Life, name: str, **query: str) -> str:
    status, body, _ = get(pages(life)[name].partition("?")[0], **query)
    assert status == 200, body
    return body


def test_the_models_page_tells_its_life(life: Life) -> None:
    body = page(life, "model")
    for lane in ("Data", "Trainings", "Gate", "Releases", "Drift", "Performance"):
        assert f"<b>{lane}</b>" in body
    assert f"runs/{life.live.champion.run}" in body  # type: ignore[union-attr]
    for name in ("age", "hours_per_week"):
        assert f"<h3>{name}</h3>" in body
    assert f"windows/{life.outcomes[-1].window}" in body
    # Pictures against the reference, and the statistic over the windows.
    assert body.count('data-chart="index"') == 3
    assert body.count("shares in training and in this window") == 3
    assert 'class="band estimated"' in body
    assert 'class="band realised"' in body


def test_tables_show_the_newest_and_all_on_demand(life: Life) -> None:
    few, every = page(life, "model"), page(life, "model", rows="all")
    rows = [len(re.findall(r"<td><a href=\"[^\"]*/windows/", body)) for body in (few, every)]
    assert rows == [12, 60]
    assert "rows=all#windows" in few
    assert "rows=all#windows" not in every


def test_a_span_leaves_out_what_was_before(life: Life) -> None:
    newest, oldest = life.outcomes[-1].window, life.outcomes[0].window
    week = page(life, "model", span="week", rows="all")
    assert newest in week
    assert oldest not in week
    assert oldest in page(life, "model", span="all", rows="all")
    assert 'aria-current="true">quarter<' in page(life, "model", span="quarter")
    assert 'aria-current="true">all<' in page(life, "model"), "it is younger than a quarter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(model_page.SPANS, "quarter", 30)
        older = page(life, "model", rows="all")
    assert 'aria-current="true">quarter<' in older
    assert oldest not in older
    assert page(life, "model", span=HOSTILE).count('aria-current="true">all<') == 1


def test_nothing_from_data_is_markup(life: Life) -> None:
    shown = html.escape(visible(HOSTILE), quote=True).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    for name in pages(life):
        body = page(life, name)
        assert "<img" not in body
        assert "\u202e" not in body
        if name in {"model", "window", "report"}:
            assert shown in body


def test_every_link_leads_somewhere(life: Life) -> None:
    for name in ("overview", "model", "run", "window"):
        for address in set(re.findall(r"href=\"(/console[^\"]*)\"", page(life, name))):
            assert get(re.split("[?#]", address)[0])[0] == 200, address


def test_a_run_shows_the_gate_what_it_was_made_of_and_what_became_of_it(life: Life) -> None:
    body = page(life, "run")
    for said in ("ROC AUC", "Equal opportunity by sex", "Difference to version", "What it was trained on",
                 "people-", "Model promoted", "ONNX file", "card.html", "lineage.json"):  # fmt: skip
        assert said in body, said


def test_a_run_that_was_refused_or_failed_says_why(life: Life) -> None:
    chain = life.world.ledger.chains["census-income"]
    refused = next(entry.decision.subject for entry in chain if entry.decision.action == "model rejected")
    assert "Refused: 1 of" in get(f"{BASE}/runs/{refused}")[1]
    run = life.train(datetime(2026, 1, 1, tzinfo=UTC), "failed")
    assert "Not enough memory" in get(f"{BASE}/runs/{run}")[1]


def test_a_window_leads_to_those_beside_it(life: Life) -> None:
    names = [outcome.window for outcome in life.outcomes]
    body = get(f"{BASE}/windows/{names[5]}")[1]
    assert re.findall(r"rel=\"(prev|next)\" href=\"[^\"]*/([^/\"]+)\"", body) == [
        ("prev", names[4]),
        ("next", names[6]),
    ]
    assert 'rel="prev"' not in get(f"{BASE}/windows/{names[0]}")[1]
    assert 'rel="next"' not in get(f"{BASE}/windows/{names[-1]}")[1]


def test_pages_stand_when_the_reports_have_gone(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life.world.data, "newest", {})
    assert "report itself is gone" in page(life, "window")
    assert "report is gone" in page(life, "model")


def test_what_others_wrote_is_as_its_note_says() -> None:
    note = found()[url("uPlot.txt").rsplit("/", 1)[-1]].body.decode()
    listed = re.findall(r"^([0-9a-f]{64})  (\S+)", note, re.MULTILINE)
    assert {name for _, name in listed} == {"uPlot.js", "uPlot.css"}
    for digest, name in listed:
        assert hashlib.sha256(found()[url(name).rsplit("/", 1)[-1]].body).hexdigest() == digest
    assert "MIT License" in note


@pytest.fixture(scope="module")
def tab(life: Life, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Browser, str]]:
    if browser.FOUND is None:
        pytest.skip("no Chromium here (Debian's package `chromium`): nothing looks at the pages")
    with served() as address, started(tmp_path_factory.mktemp("profile")) as opened:
        yield opened, address


@pytest.mark.parametrize("name", ["overview", "model", "all", "run", "window", "report"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_refuses_nothing_and_nothing_lies_beside_the_page(
    life: Life, tab: tuple[Browser, str], name: str, width: int
) -> None:
    opened, address = tab
    for script in (True, False):
        opened.look(width, 844, dark=script, script=script, phone=width < 500)
        opened.open(address + pages(life)[name])
        assert opened.complaints == []
        assert opened.value("document.documentElement.scrollWidth") <= width
        assert opened.value("document.images.length") == 0


@pytest.mark.parametrize("name", ["overview", "model", "run", "window"])
def test_a_page_can_be_heard(life: Life, tab: tuple[Browser, str], name: str) -> None:
    opened, address = tab
    opened.look()
    opened.open(address + pages(life)[name])
    levels = opened.value("[...document.querySelectorAll('h1,h2,h3,h4')].map((one) => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for wrong in (
        "main:not(:has(h1))",
        "table:not(:has(caption))",
        "th:not([scope])",
        "th:empty",
        "nav:not([aria-label])",
        "svg:not(svg svg):not([aria-hidden]):not([role=img][aria-label])",
        "[aria-hidden] a:not([tabindex='-1'])",
        "a[href]:not(svg a):empty",
    ):
        assert opened.value(f"document.querySelectorAll({wrong!r}).length") == 0, wrong
    ids = opened.value("[...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))


def test_the_keyboard_goes_past_the_head_and_is_seen(life: Life, tab: tuple[Browser, str]) -> None:
    opened, address = tab
    opened.look()
    opened.open(address + BASE)
    opened.press("Tab", 9)
    focused = "document.activeElement"
    assert opened.value(f"{focused}.className") == "skip"
    assert opened.value(f"{focused}.getBoundingClientRect().left") >= 0
    opened.press("Tab", 9)
    assert opened.value(f"getComputedStyle({focused}).outlineStyle") == "solid"
    assert opened.value(f"{focused}.textContent") == "Interlock"


def test_ink_can_be_read_on_its_ground(life: Life, tab: tuple[Browser, str]) -> None:
    """WCAG 2.2's contrast of text: at least 4.5 to 1, in the light and in the dark."""
    opened, address = tab
    for dark in (False, True):
        opened.look(dark=dark)
        opened.open(address + BASE)
        for ink in ("--ink", "--soft", "--good", "--warn", "--bad"):
            for ground in ("--back", "--card"):
                assert opened.value(_CONTRAST % (ink, ground)) >= 4.5, (ink, ground, dark)


_CONTRAST = """(() => {
  const light = (name) => {
    const hex = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const [r, g, b] = [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16) / 255)
      .map((share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const [one, other] = [light("%s"), light("%s")];
  return Math.max(one, other) / Math.min(one, other);
})()"""


def test_the_charts_answer_the_mouse_and_keep_to_one_time(life: Life, tab: tuple[Browser, str]) -> None:
    opened, address = tab
    opened.look()
    opened.open(address + BASE)
    assert opened.value("document.querySelectorAll('canvas').length") == 4
    assert opened.value("getComputedStyle(document.querySelector('.plot')).display") == "none"
    box = opened.value(
        "(() => { document.querySelector('.performance').scrollIntoView({block: 'center'});"
        " const box = document.querySelector('.performance .u-over').getBoundingClientRect();"
        " return [box.left, box.top, box.width, box.height]; })()"
    )
    middle = box[1] + box[3] / 2
    opened.move(box[0] + box[2] / 2, middle)
    said = opened.value("[...document.querySelectorAll('.read')].map((one) => one.textContent)")
    assert said[0].count("estimated 0.") == 1
    assert len({text[:16] for text in said}) == 1
    assert all("version" in text for text in said)
    opened.drag(box[0] + box[2] * 0.5, box[0] + box[2] * 0.75, middle)
    widths = opened.value(
        "[...document.querySelectorAll('.zoomed')].map((one) => parseFloat(one.getAttribute('width')))"
    )
    assert all(width == pytest.approx(400, rel=0.05) for width in widths)


def test_without_a_script_the_lines_are_there(life: Life, tab: tuple[Browser, str], tmp_path: Path) -> None:
    opened, address = tab
    opened.look(script=False)
    opened.open(address + BASE)
    opened.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
    body = page(life, "model")
    assert body.count('class="line index"') == 3
    assert 'class="line estimated"' in body


def test_of_a_model_that_has_slept_long_everything_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World().serve(monkeypatch)
    world.check(window())
    body = get("/console/models/flats")[1]
    assert 'aria-current="true">all<' in body
    assert window().window in body
    assert window().window not in get("/console/models/flats", span="week")[1].partition('id="windows"')[2]
