"""The command as somebody meets it who has never used it: its help, wrong words, and no cloud."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError, NoCredentialsError

from cli import main, uploads
from cli.target import Target
from interlock.errors import InvalidRequest
from localcloud.supervisor import ROOT, LocalCloud

PART = ROOT / "models/census-income/data/part-2.csv.gz"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def interlock(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `interlock …` on a terminal of 80 columns, where no cloud is; answers exit code and all that was said."""
    monkeypatch.setattr(LocalCloud, "load", lambda: None)
    monkeypatch.setattr("cli.view.console.stderr", False)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["interlock", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return run


def every(words: tuple[str, ...] = (), command: object = None) -> Iterator[tuple[str, ...]]:
    command = command or typer.main.get_command(main.app)
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from every((*words, name), below)


@pytest.mark.parametrize("words", list(every()), ids=" ".join)
def test_every_word_says_what_it_does_within_80_columns(interlock: Command, words: tuple[str, ...]) -> None:
    code, said = interlock(*words, "--help")
    assert code == 0
    assert max(map(len, said.splitlines())) <= 80
    sentence = said.split("Usage:")[1].splitlines()[2].strip()
    assert sentence[0].isupper(), sentence
    assert len(sentence) > 10


def told() -> Iterator[tuple[str, list[str]]]:
    """What people are told to type, in documents and in what the code says: `interlock …`."""
    documents = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "models").rglob("*.yaml")]
    code = [path for folder in ("cli", "functions", "layers", "localcloud") for path in (ROOT / folder).rglob("*.py")]
    for path in [*documents, *code]:
        for said in re.findall(
            r"(?:`|^|\[bold\])interlock ((?:[^`\n|&#;\[]|\[(?!/))+)", path.read_text("utf-8"), re.MULTILINE
        ):
            yield f"{path.relative_to(ROOT)}: {said}", said.split()


@pytest.mark.parametrize(("place", "words"), list(told()), ids=lambda value: value if isinstance(value, str) else "")
def test_what_people_are_told_to_type_is_there(place: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(main.app)
    options: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        options |= {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
        if word.startswith("--"):
            assert word in options, place
            if not options[word].is_flag:
                next(rest, None)
        elif re.fullmatch("[a-z]+", word) and hasattr(command, "commands"):
            assert word in command.commands, place
            command = command.commands[word]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["predict", "--rwo", "a=1"], 2, "--row"),
        (["report", "--stage", "nothing"], 2, "'monitor'"),
        (["upload", "a-model", "not-there.csv"], 2, "does not exist"),
        (["status"], 7, "Start it with `interlock up`"),
        (["predict", "--row", "a=1"], 7, "Start it with `interlock up`"),
        (["release", "status"], 7, "Start it with `interlock up`"),
        (["--profile", "nobody-has-this-profile", "status"], 2, "aws configure list-profiles"),
        (["--profile", "nobody-has-this-profile", "doctor"], 1, "aws configure list-profiles"),
        (["demo", "--model", "nobody"], 2, "census-income"),
        (
            ["contract", "infer", str(PART), "--out", "/nowhere/contract.yaml"],
            2,
            "/nowhere/contract.yaml: No such file",
        ),
        (["--version"], 0, f"interlock {PROJECT['version']}"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(interlock: Command, words: list[str], code: int, said: str) -> None:
    found, told = interlock(*words)
    assert (found, "Traceback" in told) == (code, False)
    assert said in " ".join(told.split())


@pytest.mark.parametrize("json", [False, True])
def test_an_error_is_told_on_standard_error_and_to_machines_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    monkeypatch.setattr(LocalCloud, "load", lambda: None)
    monkeypatch.setattr("cli.view.console.stderr", False)
    monkeypatch.setattr(sys, "argv", ["interlock", *["--json"] * json, "status"])
    with pytest.raises(SystemExit):
        main.main()
    said = capsys.readouterr()
    told, empty = (said.out, said.err) if json else (said.err, said.out)
    assert "interlock up" in told
    assert empty == ""


def test_a_file_that_is_no_table_makes_no_model(interlock: Command, tmp_path: Path) -> None:
    for text, why in (("", "the file has 0 bytes"), ("a\n", "it has no rows"), ("a\n1\n2\n", "can be a feature")):
        (tmp_path / "table.csv").write_text(text)
        code, said = interlock("model", "new", str(tmp_path / "table.csv"), "--models", str(tmp_path / "models"))
        assert (code, why in said) == (2, True), said
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("rows.json", b'{"rows": [', "cannot be read"),
        ("rows.json", b"[1, 2]", "holds no rows"),
        ("rows.json", b'{"rows": 1}', "holds no rows"),
        ("rows.csv", b"\xff\xfe\x00", "cannot be read"),
        ("rows.csv", b"age\n", "there are no rows"),
    ],
)
def test_rows_that_cannot_be_read_are_told(tmp_path: Path, name: str, body: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(InvalidRequest, match=why):
        uploads.rows([], tmp_path / name)


class Away:
    """An account whose CloudFormation answers with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, _method: str) -> Away:
        return self

    def __call__(self, **_: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NoCredentialsError(), "AWS cannot be asked"),
        (ClientError({"Error": {"Code": "ExpiredToken", "Message": "over"}}, "DescribeStacks"), "AWS refused"),
        (ClientError({"Error": {"Code": "ValidationError", "Message": "none"}}, "DescribeStacks"), "is not deployed"),
    ],
)
def test_a_stack_that_is_not_there_is_told_from_one_that_may_not_be_seen(
    interlock: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    monkeypatch.setattr(Target, "find", lambda environment, _: Target(environment, None, None))
    monkeypatch.setattr(Target, "client", lambda *_: Away(error))
    code, told = interlock("status")
    assert (code, said in told) == (7, True), told
