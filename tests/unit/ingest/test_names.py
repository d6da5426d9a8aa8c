"""Columns that are called otherwise in the file, and the contract that a dataset was judged by."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.unit.ingest.made import INTEGER, column, found, judged, model, problems, rows
from tests.unit.ingest.world import World

BY = model(column("n", INTEGER, physical_name="Anzahl (St.)", required=True), column("s", physical_name="Größe"))
CSV = 'Größe,y,Anzahl (St.)\nxl,1,5\nm,2,\n"l",3,7\n'.encode()


def bodies(folder: Path) -> dict[str, bytes]:
    values = """(VALUES ('xl', 1, 5), ('m', 2, NULL), ('l', 3, 7)) AS t("Größe", y, "Anzahl (St.)")"""
    with duckdb.connect() as con:
        con.execute(f"COPY (FROM {values}) TO '{folder}/p' (FORMAT parquet)")
    lines = '{"Größe":"xl","y":1,"Anzahl (St.)":5}\n{"Größe":"m","y":2}\n{"Größe":"l","y":3,"Anzahl (St.)":7}\n'
    return {"csv": CSV, "jsonl": lines.encode(), "parquet": (folder / "p").read_bytes()}


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_column_has_the_files_name_there_and_the_contracts_in_the_dataset(form: str, tmp_path: Path) -> None:
    answer = judged(bodies(tmp_path)[form], BY, tmp_path)
    assert problems(answer) == []
    assert found(answer) == {("required", "n"): [2]}
    kept = rows(answer.files["train"]) + rows(answer.files["holdout"])
    assert sorted(kept) == [(5, "xl", 1.0), (7, "l", 3.0)]
    with duckdb.connect() as con:
        named = con.execute(f"DESCRIBE FROM read_parquet('{answer.files['train']}')").fetchall()
    assert [name for name, *_ in named] == ["n", "s", "y"]
    # Mended rows go back under the file's own names.
    if form == "csv":
        assert answer.files["bad_rows"].read_text("utf-8").splitlines()[0].endswith("Größe,y,Anzahl (St.)")


def test_the_contracts_own_name_is_none_of_the_files(tmp_path: Path) -> None:
    answer = judged(b"n,s,y\n1,a,1\n", BY, tmp_path)
    assert problems(answer) == ["missing_column"]
    assert "missing: Anzahl (St.), Größe" in answer.problems[0].found


def test_each_dataset_says_by_which_contract_it_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    first = model(column("n", INTEGER))
    columns = (column("n", INTEGER, maximum=9), *first.contract.columns[1:])
    changed = first.contract.model_copy(update={"version": "2", "columns": columns})
    second = first.model_copy(update={"contract": changed})
    world = World(monkeypatch, first)
    world.run(world.upload(b"n,y\n1,1\n2,2\n", "incoming/small/a.csv"))
    world.model = second
    world.run(world.upload(b"n,y\n3,1\n4,2\n", "incoming/small/b.csv"))
    judged_by = {item.source.key[-5:]: (item.contract_version, item.contract_sha256) for item in world.datasets}
    assert judged_by == {
        "a.csv": ("1", first.contract.digest()),
        "b.csv": ("2", second.contract.digest()),
    }
