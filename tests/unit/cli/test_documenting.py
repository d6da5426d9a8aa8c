"""The pages about contracts and rules say what the code does."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from cli.contracts.documenting import documents
from ingest import rules
from interlock.contract import Metric
from interlock.formats import TEXT_FORMATS
from interlock.odcs import parts

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", sorted(documents()))
def test_a_page_is_as_the_code_makes_it(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == documents()[name], "run `make docs`"


def test_the_pages_name_everything() -> None:
    contract, catalogue = documents()["contract.md"], documents()["rules.md"]
    named = {*parts.DOCUMENT, *parts.SCHEMA, *parts.PROPERTY, *parts.RULE, *parts.SETTINGS, *TEXT_FORMATS, *Metric}
    assert [name for name in named if f"`{name}`" not in contract] == []
    defined = {rule.id for rule in vars(rules).values() if isinstance(rule, rules.Rule)}
    assert set(rules.CATALOGUE) == defined
    assert [name for name in defined if f"| `{name}` |" not in catalogue] == []


def test_every_rule_of_the_catalogue_is_used() -> None:
    tree = "".join(path.read_text("utf-8") for path in Path(rules.__file__).parent.glob("*.py"))
    constants = [
        node.targets[0].id
        for node in ast.parse(Path(rules.__file__).read_text("utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    single = [name for name in constants if isinstance(getattr(rules, name), rules.Rule)]
    by_metric = {*rules.BY_METRIC.values(), *rules.OF_THE_FILE.values()}
    assert [name for name in single if f"rules.{name}" not in tree and getattr(rules, name) not in by_metric] == []
