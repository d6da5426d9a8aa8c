"""What a person reads about an upload."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

import pytest

from ingest.findings import Finding
from ingest.judgement import Outcome
from ingest.report import html
from interlock.cells import visible
from interlock.contract import ColumnType, Contract, Limit, Metric, Operator, QualityRule, Severity
from interlock.records import CheckStatus
from tests.unit.ingest.made import INTEGER, NUMBER, column, judgement, model
from tests.unit.ingest.world import World

RULES = model(
    column("n", INTEGER, minimum=0, exclusive_maximum=10),
    column("x", NUMBER, exclusive_minimum=0, maximum=1.5),
    column("s", min_length=2, max_length=4),
    column("p", pattern="^[a-z]+$"),
    column("c", allowed=tuple("abcdefghijkl")),
    column("few", allowed=("on", "off")),
    column("d", ColumnType.DATE, format="dd.MM.yyyy"),
    column("t", ColumnType.TIMESTAMP),
    column("name", restricted=True, required=True, max_length=3),
)
GOOD = b"1,1,ab,a,a,on,29.02.2024,2024-02-29T10:00:00,Eva,1\n"
NONE = (Limit(operator=Operator.MUST_BE, value=(0,)),)
HEADER = b"n,x,s,p,c,few,d,t,name,y\n"


def page(monkeypatch: pytest.MonkeyPatch, body: bytes, key: str = "incoming/small/people.csv") -> str:
    world = World(monkeypatch, RULES)
    world.run(world.upload(body, key))
    (place,) = (key for key in world.objects.keys("reports/") if key.endswith(".html"))
    return world.objects.read(place).decode()


def test_the_verdict_comes_first_and_the_contract_speaks_in_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = b"-1,2,abcde,A,z,x,2024-02-29,noon,Schmidtke,1\n10,0,a,A,z,x,x,x,,1\n1.5,x,ab,a,a,on,,,Eva,1\n"
    text = page(monkeypatch, HEADER + GOOD * 40 + bad, "incoming/small/people <1>.csv")
    order = [
        text.index(part) for part in ("people &lt;1&gt;.csv", "Admitted; 3 bad rows", "What is wrong", "The columns")
    ]
    assert order == sorted(order)
    for said in (
        *("Below 0", "Not below 10", "Not above 0", "Above 1.5", "Shorter than 2 or longer than 4 characters"),
        *("Not of the form ^[a-z]+$", "None of a, b, c, d, e and 7 more", "None of on, off", "Not a whole number"),
        *("Not in the form dd.MM.yyyy", "Not a time as yyyy-MM-ddTHH:mm:ss", "A required value is missing"),
        *("row 41, line 42", "bad-rows.csv", "violations.csv", "2024-02-29"),
    ):
        assert said in text, said
    assert "Schmidtke" not in text
    assert "Eva" not in text
    assert "<i>masked</i>" in text


def test_the_page_needs_nothing_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(monkeypatch, HEADER + GOOD * 40)
    assert "Every row keeps the contract." in text
    assert not re.search(r"(src=|href=\"(?!#)|@import|url\()", text)
    assert "<script" not in text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


def test_what_is_tolerated_is_no_warning() -> None:
    few = (Limit(operator=Operator.MUST_BE_LESS_THAN, value=(5,)),)
    rule = QualityRule(id="q", metric=Metric.NULL_VALUES, columns=("s",), limits=few)
    contract = model(column("s"), quality=(rule,)).contract
    found = Finding(
        rule="required", column="s", quality="q", severity=Severity.INFO, count=3, condition="c", remedy="r"
    )
    text = html(judgement(findings=(found,)), contract)
    assert "3 rows, judged together below" in text
    assert "The contract tolerates some." in text
    assert "kept all the same" not in text


def test_an_unreadable_file_shows_the_reason_and_no_empty_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(monkeypatch, b"")
    assert "Rejected." in text
    assert "The file has no rows:</b> <bdi>the file has 0 bytes</bdi>" in text
    assert "The columns" not in text
    assert "What is wrong" not in text


def test_columns_without_values_and_with_one_value_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    text = page(monkeypatch, HEADER + b",,,,,,,,Eva,1\n" * 3)
    assert "No values" in text
    assert "100.0% missing" in text


HOSTILE = [
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", '" onmouseover="alert(1)', "' onfocus='x"),
    *(
        "</code></bdi></section><h1>Admitted</h1>",
        "{{ 7*7 }}",
        "&lt;b&gt;",
        "javascript:alert(1)",
        "=cmd|' /C calc'!A0",
    ),
    *("\x1b[31m", "\u202eevil", "\u2066x\u2069", "a\u200bb", "\x01", "\x07"),
]


@pytest.mark.parametrize("cell", HOSTILE)
def test_no_cell_becomes_markup_or_hides(monkeypatch: pytest.MonkeyPatch, cell: str) -> None:
    """As an example of a violation, as a category, and as the name of the file."""
    quoted = '"' + cell.replace('"', '""') + '"'
    world = World(monkeypatch, model(column("n"), column("s"), column("p", pattern="^[a-z]+$"), column("c")))
    body = f"n,s,p,c,y\n{quoted},{quoted},a,{quoted},1\nb,b,{quoted},b,1\n"
    name = cell.replace("/", "|")
    world.run(world.upload(body.encode(), f"incoming/small/{name}.csv"))
    (place,) = (key for key in world.objects.keys("reports/") if key.endswith(".html"))
    text = world.objects.read(place).decode()
    parser = Tags()
    parser.feed(text)
    assert parser.names <= KNOWN, parser.names - KNOWN
    assert parser.attributes <= ATTRIBUTES, parser.attributes - ATTRIBUTES
    assert not {unicodedata.category(sign) for sign in text if sign not in "\n\t"} & {"Cc", "Cf", "Cs"}
    shown = unicodedata.normalize("NFC", "".join(parser.text))
    assert shown.count(visible(cell)) >= 3, "said as it is, or with its hidden characters named"


KNOWN = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "p",
        "h1",
        "h2",
        "h3",
        "div",
        "strong",
        "b",
        "i",
        "span",
        "bdi",
    ),
    *("section", "ul", "li", "code", "br", "nav", "a", "figure", "figcaption", "svg", "g", "rect", "line", "details"),
    *("span", "summary", "table", "caption", "tr", "th", "td", "footer"),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "name",
        "content",
        "class",
        "id",
        "href",
        "scope",
        "viewbox",
        "role",
        "aria-label",
        "aria-hidden",
    ),
    *("x", "y", "x1", "x2", "y1", "y2", "width", "height"),
}


class Tags(HTMLParser):
    """What a browser makes of a page: its elements, their attributes, the text outside of the style sheet."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


LEAST_CONTRAST = {"ink": 4.5, "soft": 4.5, "good": 4.5, "warn": 4.5, "bad": 4.5, "then": 3, "now": 3}


def test_colours_can_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for what a picture needs; on the page and on a card, light, dark and printed."""
    text = page(monkeypatch, HEADER + GOOD * 40)
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", theme)) for theme in re.findall(r":root \{([^}]*)\}", text)]
    assert len(themes) == 3
    for theme in themes:
        for back in ("back", "card"):
            for name, least in LEAST_CONTRAST.items():
                one, two = sorted((luminance(theme[name]), luminance(theme[back])), reverse=True)
                assert (one + 0.05) / (two + 0.05) >= least, (name, back, (one + 0.05) / (two + 0.05))


def test_rules_about_rows_and_the_file_are_said_in_the_contracts_figures() -> None:
    """All that a contract can say; the engine's own tests show that it finds them."""
    allowed = tuple("abcdefghijkl")
    quality = (
        QualityRule(id="q1", metric=Metric.COMPARE, columns=("a", "b"), limits=NONE, relation="<=", name="In order"),
        QualityRule(id="q2", metric=Metric.INVALID_VALUES, columns=("s",), limits=NONE, allowed=allowed),
        QualityRule(id="q3", metric=Metric.INVALID_VALUES, columns=("s",), limits=NONE, pattern="^x"),
        QualityRule(id="q4", metric=Metric.DUPLICATE_VALUES, columns=("a", "s"), limits=NONE),
        QualityRule(id="q5", metric=Metric.NULL_VALUES, columns=("s",), limits=NONE),
    )
    contract = Contract(
        id="c",
        version="1",
        columns=(
            column("a", NUMBER, multiple_of=0.01),
            column("b", NUMBER),
            column("s", format="uuid"),
            column("d", ColumnType.DATE, earliest="2020-01-01", before="2030-01-01"),
            column("t", ColumnType.TIMESTAMP, after="2020-01-01T00:00:00", latest="2030-01-01T00:00:00", timezone=True),
        ),
        quality=quality,
    )
    wanted = {
        ("multiple_of", "a", None): "No multiple of 0.01",
        ("format", "s", None): "No uuid",
        ("minimum", "d", None): "Before 2020-01-01",
        ("maximum", "d", None): "Not before 2030-01-01",
        ("minimum", "t", None): "Not after 2020-01-01T00:00:00",
        ("maximum", "t", None): "After 2030-01-01T00:00:00",
        ("timezone", "t", None): "Without its zone",
        ("compare", None, "q1"): "In order: a row whose a is not &lt;= b",
        ("invalid", "s", "q2"): "None of a, b, c, d, e and 7 more",
        ("invalid", "s", "q3"): "Not of the form ^x",
        ("duplicate", None, "q4"): "The same a and s as a row before",
        ("required", "s", "q5"): "No value in s",
    }
    findings = tuple(
        Finding(
            rule=rule,
            column=name,
            quality=quality_id,
            severity=Severity.INFO if quality_id == "q5" else Severity.ERROR,
            count=1,
            condition="c",
            remedy="r",
        )
        for rule, name, quality_id in wanted
    )
    outcomes = (
        Outcome(rule="x1", name="Fresh", status=CheckStatus.PASS, found="an hour old", limit="at most 2 days"),
        Outcome(rule="x2", name="Places", status=CheckStatus.WARN, found="3% are new", remedy="ask the sender"),
        Outcome(rule="x3", name="Change", status=CheckStatus.TOO_FEW, found="no dataset before"),
        Outcome(rule="x4", name="Size", status=CheckStatus.FAIL, found="5 rows", limit="at least 9"),
    )
    text = html(judgement(findings=findings, outcomes=outcomes), contract)
    for said in wanted.values():
        assert f"<b>{said}</b>" in text, said
    assert "kept all the same" in text
    places = [text.index(f"<b>{name}:</b>") for name in ("Size", "Places", "Change", "Fresh")]
    assert places == sorted(places), "what is broken first"
    assert "Ask the sender." in text
    assert "(allowed: at least 9)" in text
