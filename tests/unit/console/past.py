"""A model that has lived: uploads, trainings, verdicts, releases and windows, by the real records and judgements."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from interlock.folder import read_model
from interlock.ledger import Decision, entry
from interlock.models import DeployedModel
from interlock.records import (
    Candidate,
    Check,
    CheckStatus,
    Dataset,
    LiveRelease,
    ObjectRef,
    TrainingManifest,
    Verdict,
)
from interlock.report import page
from interlock.spec import Release
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.verdict import judge
from interlock.stats.performance.estimate import Estimate
from interlock.windows import Outcome, Performed, Realised, WindowResult
from monitor.decide import in_small
from monitor.policy import Past, decide
from release import transitions
from release.record import decision
from tests.unit.console.world import World

ROOT = Path(__file__).resolve().parents[3]
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
_BARS = {
    "age": ("below 25", "25 to 34", "35 to 44", "45 to 54", "from 55"),
    "hours_per_week": ("below 30", "30 to 39", "40", "41 to 50", "from 51"),
    "education_num": ("below 8", "8 to 9", "10 to 12", "13", "from 14"),
    "capital_gain": ("0", "1 to 5,000", "from 5,001"),
    "occupation": ("Prof-specialty", "Craft-repair", "Exec-managerial", "Adm-clerical", "Sales", "(other)"),
    "marital_status": ("Married-civ-spouse", "Never-married", "Divorced", "(other)"),
    "workclass": ("Private", "Self-emp-not-inc", "Local-gov", "(other)"),
    "native_country": ("United-States", "Mexico", "Philippines", "(other)"),
    "(score)": ("below 0.1", "0.1 to 0.3", "0.3 to 0.5", "0.5 to 0.8", "from 0.8"),
}


def census() -> DeployedModel:
    """The model of the repository's own folder."""
    return read_model(ROOT / "models" / "census-income")


@dataclass
class Life:
    """What `live` goes through; a moment at a time."""

    world: World
    model: DeployedModel
    random: np.random.Generator
    columns: dict[str, tuple[str, ...]]
    live: LiveRelease | None = None
    version: int = 0
    datasets: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()

    def note(self, stage: str, action: str, subject: str, at: datetime, **evidence: object) -> None:
        made = Decision(
            model=self.model.id, key=f"{action}:{subject}:{at}", stage=stage, action=action, subject=subject,  # type: ignore[arg-type]
            actor=f"arn:aws:sts::0:assumed-role/interlock-dev-{stage}", evidence=evidence,
        )  # fmt: skip
        self.write(made, at)

    def write(self, made: Decision, at: datetime) -> None:
        chain = self.world.ledger.chains.setdefault(self.model.id, [])
        chain.append(entry(made, chain[-1] if chain else None, at))

    def upload(self, at: datetime, *, bad: bool = False) -> None:
        claim = f"{int(self.random.integers(1 << 62)):016x}"
        key = f"reports/{self.model.id}/ingest/{claim}/report.json"
        about = {"source": f"s3://data/incoming/{self.model.id}/people-{at:%Y-%m-%d}.csv", "report": f"s3://data/{key}"}
        rows = int(self.random.integers(2_000, 9_000))
        self.world.data.put(key.replace(".json", ".html"), b"<!doctype html><title>judged</title>")
        if bad:
            self.note(
                "ingest", "dataset rejected", claim, at, rows=rows, bad_rows=rows // 3, reason="too many", **about
            )
            return
        ref = ObjectRef(
            bucket="data", key=about["source"].removeprefix("s3://data/"), version="v", sha256=claim * 4, size=9
        )
        found = Dataset(
            id=claim[::-1], model=self.model.id, claim=claim, source=ref, train=ref, holdout=ref, profile=ref,
            report=ref, rows=rows, train_rows=rows - rows // 5, holdout_rows=rows // 5, bad_rows=7,
            contract_version="1", contract_sha256=self.model.contract.digest(), admitted_at=at,
        )  # fmt: skip
        self.world.state.put(f"model#{self.model.id}", f"dataset#{ref.sha256}#{found.contract_sha256}", found)
        self.datasets += (found.id,)
        self.note("ingest", "dataset admitted", found.id, at, rows=rows, bad_rows=7, mode="append", **about)

    def train(self, at: datetime, end: str) -> str:
        """A run that ends so, twenty minutes later; answers its id."""
        run = f"{at:%Y%m%d-%H%M%S}-{int(self.random.integers(1 << 24)):06x}"
        ended, model = at + 20 * MINUTE, self.model.id
        if end == "failed":
            self.note("train", "training failed", run, ended, error="TrainingFailed", message="not enough memory")
            return run
        ref = self.world.artefacts.put(f"models/{model}/{run}/served.json", b"{}")
        manifest = TrainingManifest(
            id=run * 3, model=model, run=run, datasets=self.datasets[-5:], sources=(ref,), settings=ref, train=ref,
            holdout_features=ref, holdout=ref, reference=ref, train_rows=17_552, holdout_rows=4_448,
            contract_version="1.0.0", contract_sha256="c" * 64, spec_sha256="s" * 64,
        )  # fmt: skip
        self.world.data.put(f"training/{model}/{run}/manifest.json", manifest.to_json().encode())
        champion = self.live.champion if self.live else None
        refused = end == "refused"
        area = 0.9226 - 0.03 * refused + 0.004 * float(self.random.normal())
        checks = [
            Check(id="metric:roc_auc", title="ROC AUC", status=CheckStatus.FAIL if refused else CheckStatus.PASS,
                  value=area, low=area - 0.008, high=area + 0.008, limit="at least 0.9",
                  reason=f"ROC AUC is {area:.4f}" if refused else ""),
            Check(id="metric:log_loss", title="Log loss", status=CheckStatus.PASS, value=0.29, low=0.28, high=0.3,
                  limit="at most 0.33"),
            Check(id="fairness:sex", title="Equal opportunity by sex: gap in true positive rates", value=0.0168,
                  status=CheckStatus.WARN, low=-0.065, high=0.156, limit="at most 0.15",
                  reason="passes, but the interval reaches over the limit"),
        ]  # fmt: skip
        if champion:
            checks.append(
                Check(id="champion:roc_auc", title=f"ROC AUC against version {champion.version}", value=0.0012,
                      status=CheckStatus.PASS, low=-0.002, high=0.004, limit="worse by at most 0.005")
            )  # fmt: skip
        verdict = Verdict(
            model=model, run=run, passed=not refused, checks=tuple(checks), threshold=0.51,
            champion_version=champion.version if champion else None, holdout_rows=4_448, decided_at=ended,
        )  # fmt: skip
        self.world.data.put(f"reports/{model}/train/{run}/report.json", verdict.to_json().encode())
        self.world.data.put(f"reports/{model}/train/{run}/report.html", b"<!doctype html><title>the gate</title>")
        if refused:
            self.note("train", "model rejected", run, ended, failed={"metric:roc_auc": area})
            return run
        self.version += 1
        lineage = {
            "onnx": ref.model_dump(mode="json"), "estimator": "hist_gradient_boosting", "seed": 7,
            "job": {"job": f"dev-{model}-{run}", "instance": "ml.m5.large", "billable_seconds": 71},
            "pins": {"python": "3.12.3", "scikit-learn": "1.9.0"},
        }  # fmt: skip
        self.world.artefacts.put(f"models/{model}/{run}/lineage.json", json.dumps(lineage).encode())
        self.world.artefacts.put(f"models/{model}/{run}/card.html", b"<!doctype html><title>card</title>")
        statuses = {check.id: check.status.value for check in checks}
        self.note("train", "model registered", f"version {self.version}", ended, run=run, checks=statuses,
                  billable_seconds=71, report=f"s3://data/reports/{model}/train/{run}/report.html")  # fmt: skip
        return run

    def release(self, run: str, at: datetime, *, good: bool = True) -> None:
        """The run's version as a canary, promoted in the end or taken back."""
        ref = self.world.artefacts.describe(f"models/{self.model.id}/{run}/served.json")
        assert ref is not None
        candidate = Candidate(
            version=self.version, run=run, served=ref, package_arn=f"arn:{self.version}", reference=ref, manifest_id="m"
        )
        plan = Release(mode="canary", steps=(0.1, 0.5))
        after = transitions.started(self.live, candidate, self.model.id, plan, "release", "the gate passed", at)
        assert after is not None
        self.change(after, at)
        self.change(transitions.probed(after, "release-probe", at + MINUTE), at + MINUTE)
        while self.live is not None and self.live.challenger is not None:
            at += 45 * MINUTE
            said = "every check of the step held" if good else "its calls fail more often"
            step = transitions.advanced if good else lambda live, *rest: transitions.withdrawn(
                live, transitions.TAKEN_BACK, *rest[:2], rest[3], rest[2]
            )  # fmt: skip
            self.change(step(self.live, "release-tend", said, None, at), at)

    def change(self, after: LiveRelease, at: datetime) -> None:
        pk = f"model#{self.model.id}"
        expected = self.live.revision if self.live else None
        assert self.world.state.replace_revision(
            pk, "live", after, revision=after.revision, expected=expected, kept=f"revision#{after.revision:08}"
        )
        self.live = after
        self.write(decision(after), at)

    def check(self, at: datetime, strength: float, loss: float, *, rows: int | None = None) -> WindowResult:
        """A window whose columns have moved by a strength, and whose labels say that the model lost so much."""
        assert self.live is not None
        assert self.live.champion is not None
        rows = int(self.random.integers(300, 3_000)) if rows is None else rows
        policy = self.model.spec.monitoring
        drift = judge([self._column(name, rows, strength) for name in self.columns], rows, policy.drift)
        value = 0.86 - 0.05 * strength + 0.004 * float(self.random.normal())
        true = value - loss + 0.006 * float(self.random.normal())
        told = Realised(value=true, low=true - 0.025, high=true + 0.025)
        metric = self.model.watched
        performed = Performed(
            metric=metric, state="concept" if loss > 0.05 else "fine", reason="it does as it did on the holdout",
            holdout={metric: 0.862}, estimated={metric: Estimate(value=value, low=value - 0.012, high=value + 0.012)},
            labelled=rows // 3,
            realised={metric: told} if self.random.random() > 0.2 else {},
        )  # fmt: skip
        champion = self.live.champion
        result = WindowResult(
            model=self.model.id, window=f"{at:%Y%m%dT%H%M%S}-v{champion.version}", start=at - DAY, end=at,
            version=champion.version, revision=self.live.revision, manifest_id="m" * 64, run=champion.run,
            state=drift.state if rows else "silent", drift=drift, performed=performed if rows else None,
        )  # fmt: skip
        key = f"reports/{self.model.id}/monitor/{result.window}/report."
        html = page("drift", result=result, policy=policy.drift, restricted=set())
        result = result.model_copy(update={"report": self.world.data.put(key + "html", html.encode())})
        self.world.data.put(key + "json", result.to_json().encode())
        past = Past(outcomes=self.outcomes[-30:], new_datasets=self.datasets[-1:])
        outcome = decide(result, past, policy, at)
        self.outcomes += (outcome,)
        pk = f"model#{self.model.id}"
        self.world.state.put(pk, f"outcome#{result.window}", outcome)
        self.world.state.put(pk, f"window#{at:%Y%m%dT%H%M%S}", in_small(outcome, result, metric))
        self.note("monitor", f"window {result.state}: {outcome.action}", result.window, at, rows=rows)
        return result

    def _column(self, name: str, rows: int, strength: float) -> Counted:
        bins = self.columns[name]
        shares = np.linspace(2, 1, len(bins))
        place = list(self.columns).index(name)
        moved = shares * (1 + (strength * 2.5 * (place < 3)) * np.linspace(0, 1, len(bins)))
        return Counted(
            column=name,
            bins=bins,
            before=tuple(int(17_552 * share) for share in shares / shares.sum()),
            now=tuple(int(count) for count in self.random.multinomial(rows, moved / moved.sum())),
            missing_before=12,
            missing_now=0,
            rest=bins[-1] == "(other)",
        )


def lived(
    world: World,
    until: datetime,
    windows: int = 120,
    versions: int = 8,
    columns: dict[str, tuple[str, ...]] | None = None,
) -> Life:
    """A life of as many daily windows and versions, which ends at a moment: calm, then drift, then a new version."""
    model = world.models["census-income"] = census()
    life = Life(world, model, np.random.default_rng(11), columns or _BARS)
    every = windows / versions
    begin = until - windows * DAY
    life.upload(begin - 2 * DAY)
    life.upload(begin - 2 * DAY + 30 * MINUTE, bad=True)
    life.release(life.train(begin - 2 * DAY + 40 * MINUTE, "registered"), begin - DAY)
    for day in range(windows):
        at = begin + (day + 1) * DAY
        # Each version drifts in the last third of its time.
        strength = max(0.0, (day % every) / every - 0.66) * 3
        drawn = float(life.random.random())
        life.check(
            at,
            strength,
            0.08 if 0.3 < day / windows < 0.34 else 0.0,
            rows=0 if drawn < 0.02 else 60 if drawn < 0.05 else None,
        )
        if int((day + 1) / every) > int(day / every) and life.version < versions:
            life.upload(at + 60 * MINUTE)
            end = {2: "refused", 3: "failed"}.get(life.version % 4, "registered")
            run = life.train(at + 120 * MINUTE, end)
            if end != "registered":
                run = life.train(at + 180 * MINUTE, "registered")
            life.release(run, at + 240 * MINUTE, good=life.version % 5 != 4)
    return life
