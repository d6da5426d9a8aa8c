"""Judges a file against a contract in one pass: every violation, the good rows, the bad rows, the profile.

The file flows through in blocks of whole records. Each block becomes a table and is held against the rules of one row
(on all cores); then, in the file's order, its keys are compared with those before; then its good rows are profiled and
kept, its bad ones written out. Nothing grows with the file but the files of the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingest import rules
from ingest.blocks import EXAMPLES, Block, Finished, Judge, Shown
from ingest.checks import checks
from ingest.database import database
from ingest.dataset import Dataset
from ingest.failure import WholeFile
from ingest.findings import Example, Finding, Problem
from ingest.memory import keep
from ingest.parsing import Bytes
from ingest.profiling import free_texts
from ingest.quarantine import LIST_HEADER, bad_header
from ingest.source import Source, open_source
from ingest.streams import LocalFile, Upload
from ingest.uniqueness import KeyFile, Seen
from interlock.contract import Severity
from interlock.models import DeployedModel
from interlock.stats.profile import Profile

if TYPE_CHECKING:
    import duckdb

_MALFORMED = (rules.FIELD_COUNT, rules.OPEN_QUOTE, rules.ENCODING, rules.JSON)


@dataclass
class Judged:
    """The engine's answer. Files lie in the scratch folder under their names.

    `counts` are the violations of the contract's quality rules by their ids, `keys` the files of keys
    (`ingest.uniqueness`), when they were asked for, by rule (`ingest.checks.Check.id`).
    """

    kind: str
    rows: int = 0
    bad_rows: int = 0
    train_rows: int = 0
    holdout_rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    profile: Profile | None = None
    files: dict[str, Path] = field(default_factory=dict)
    keys: dict[str, Path] = field(default_factory=dict)

    @property
    def admitted(self) -> bool:
        """Whether the good rows become a dataset."""
        return not self.problems


def judge(
    upload: Path | Upload,
    model: DeployedModel,
    scratch: Path,
    *,
    memory_mb: int = 2048,
    threads: int = 2,
    admit: bool = True,
    keys: bool = False,
    doubled: Mapping[str, Sequence[int]] | None = None,
) -> Judged:
    """Judge an upload.

    Args:
        upload: the file as it was uploaded, here or elsewhere.
        model: its contract, target and holdout.
        scratch: an empty folder for the files of the answer.
        memory_mb: what the engine may use beside the blocks that are being judged.
        threads: how many cores it may use.
        admit: whether the good rows are written.
        keys: whether the keys are written, for uniqueness across several files.
        doubled: rows (from 1), by rule, whose keys are known to be in an earlier file.
    """
    keep()
    if isinstance(upload, Path):
        upload = LocalFile(upload)
    with database(memory_mb, scratch) as con:
        run = _Run(con, model, scratch, threads, doubled or {}, admit=admit, keys=keys)
        try:
            source = open_source(con, upload, model.contract, scratch)
        except WholeFile as reason:
            return Judged(kind="unknown", problems=[_problem(reason.rule, reason.found)])
        try:
            return run.judge(source)
        except WholeFile as reason:
            return Judged(kind=source.kind, problems=[_problem(reason.rule, reason.found)])
        finally:
            run.close()


class _Run:
    """One file on its way through the engine."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        model: DeployedModel,
        scratch: Path,
        threads: int,
        doubled: Mapping[str, Sequence[int]],
        *,
        admit: bool,
        keys: bool,
    ) -> None:
        self._con, self._model, self._scratch, self._threads = con, model, scratch, threads
        self._dataset = Dataset(scratch) if admit else None
        self._every = checks(model.contract)
        self._judge = Judge(model, self._every)
        repeated = [number for number, check in enumerate(self._every) if check.key]
        self._seen = {number: Seen(scratch) for number in repeated}
        self._doubled = {
            number: np.unique(np.array(doubled[check.id], dtype=np.int64))
            for number, check in enumerate(self._every)
            if check.id in doubled
        }
        self._key_files = {number: KeyFile(scratch / f"keys-of-{number}") for number in repeated} if keys else {}
        self._pool = ThreadPoolExecutor(threads)
        self._row, self._line, self._numbers = 1, 1, count()
        self._free: frozenset[int] | None = None
        self._counts: dict[int | str, int] = {}
        self._examples: dict[int | str, list[Shown]] = {}
        self._judged = Judged("")

    def close(self) -> None:
        """End what was begun; the scratch folder's owner removes the rest."""
        self._pool.shutdown(cancel_futures=True)
        for seen in self._seen.values():
            seen.close()

    def judge(self, source: Source) -> Judged:
        """All of it.

        Raises:
            WholeFile: somewhere it turned out that the file cannot be judged.
        """
        judged, self._line = self._judged, 2 if source.header else 1
        judged.kind = source.kind
        waiting: deque[Future[Finished]] = deque()
        for block in self._blocks(source):
            waiting.append(self._finish(block, source))
            # Each block in memory counts: no more wait than keep the cores busy.
            if len(waiting) >= self._threads:
                self._take(waiting.popleft().result(), source)
        while waiting:
            self._take(waiting.popleft().result(), source)
        source.finish(judged.rows)
        judged.findings = [*self._findings()]
        judged.counts = {
            check.quality: self._counts.get(number, 0) for number, check in enumerate(self._every) if check.quality
        }
        judged.keys = {self._every[number].id: file.close() for number, file in self._key_files.items()}
        judged.problems = whole(judged, self._model)
        if judged.admitted and self._dataset:
            files, judged.train_rows, judged.holdout_rows = self._dataset.close()
            judged.files |= files
        return judged

    def _blocks(self, source: Source) -> Iterator[Block]:
        """The blocks in order, each held against the rules of one row while the next ones are read."""
        waiting: deque[Future[Block]] = deque()
        # No thread of its own reads: of more threads than cores the one that has Python's lock is often not running.
        reading = self._pool.submit(next, source.readers, None)
        while (reader := reading.result()) is not None:
            waiting.append(self._pool.submit(self._judge.judge, self._con.cursor(), reader))
            reading = self._pool.submit(next, source.readers, None)
            if len(waiting) >= self._threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _finish(self, block: Block, source: Source) -> Future[Finished]:
        """Compare a block's keys with those before, and have the rest done beside."""
        table = block.table
        for number, (rows, keys) in block.keys.items():
            if number in self._key_files:
                self._key_files[number].add(keys, table.places[rows] + self._row)
            again = rows[self._seen[number].repeated(keys)]
            if number in self._doubled:
                again = np.union1d(again, np.flatnonzero(np.isin(table.places + self._row, self._doubled[number])))
            if len(again):
                block.violated.append((number, again))
        block.violated.sort(key=lambda item: item[0])
        if self._free is None:
            self._free = free_texts(table, self._model.contract)
        place = self._row, None if table.lines is None else self._line
        self._row += table.records
        self._line += table.lines or 0
        good = self._scratch / f"good-{next(self._numbers)}" if self._dataset else None
        return self._pool.submit(self._judge.finish, block, source, place, self._free, good)

    def _take(self, done: Finished, source: Source) -> None:
        """Add a block to the answer."""
        judged = self._judged
        judged.rows += done.rows
        judged.bad_rows += done.bad_rows
        for key, times in done.counts.items():
            self._counts[key] = self._counts.get(key, 0) + times
            known = self._examples.setdefault(key, [])
            known += done.examples.get(key, [])[: EXAMPLES - len(known)]
            if len(known) == EXAMPLES:
                self._judge.shown.add(key)
        self._append("violations", "violations.csv", LIST_HEADER, done.violations)
        name = "bad-rows.jsonl" if source.kind == "JSON Lines" else "bad-rows.csv"
        self._append("bad_rows", name, bad_header(source, self._model.contract), done.bad)
        if done.good and self._dataset:
            self._dataset.add(done.good)
        if done.profile is not None:
            judged.profile = judged.profile.merged(done.profile) if judged.profile else done.profile

    def _append(self, kind: str, name: str, header: bytes, body: Bytes | None) -> None:
        if body is not None and len(body):
            path = self._scratch / name
            with path.open("ab") as file:
                if kind not in self._judged.files:
                    file.write(header)
                file.write(body.data)
            self._judged.files[kind] = path

    def _findings(self) -> Iterator[Finding]:
        for rule in _MALFORMED:
            if rule.id in self._counts:
                yield self._finding(rule, None, Severity.ERROR, rule.id)
        for number, check in enumerate(self._every):
            if number in self._counts:
                found = self._finding(check.rule, check.name or None, check.severity, number)
                yield found.model_copy(update={"quality": check.quality or None})

    def _finding(self, rule: rules.Rule, column: str | None, severity: Severity, key: int | str) -> Finding:
        return Finding(
            rule=rule.id,
            column=column,
            severity=severity,
            count=self._counts[key],
            condition=rule.condition,
            remedy=rule.remedy,
            examples=tuple(Example(row=row, line=line, value=value) for row, line, value in self._examples[key]),
        )


def whole(judged: Judged, model: DeployedModel) -> list[Problem]:
    """What is wrong with all rows together: their number, and the share of bad ones."""
    contract, problems = model.contract, []
    if judged.rows < contract.min_rows or (contract.max_rows is not None and judged.rows > contract.max_rows):
        allowed = f"at least {contract.min_rows}" + (f", at most {contract.max_rows}" if contract.max_rows else "")
        problems.append(_problem(rules.ROW_COUNT, f"{judged.rows} rows; allowed: {allowed}"))
    share = judged.bad_rows / judged.rows
    if share > contract.max_bad_row_share or judged.bad_rows == judged.rows:
        found = (
            f"{judged.bad_rows} of {judged.rows} rows are bad ({share:.1%}); allowed: {contract.max_bad_row_share:.1%}"
        )
        if share <= contract.max_bad_row_share:
            found = f"all {judged.rows} rows are bad: none would be left"
        problems.append(_problem(rules.BAD_ROW_SHARE, found))
    return problems


def _problem(rule: rules.Rule, found: str) -> Problem:
    return Problem(rule=rule.id, found=found, condition=rule.condition, remedy=rule.remedy)
