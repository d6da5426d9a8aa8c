"""People like those of the census: a generator fitted to it, with the shifts that a monitor should see.

A Gaussian copula (Nelsen 2006, 5.5.1): every column's own distribution, joined by correlations of normal scores.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Array = npt.NDArray[Any]
DATA = Path(__file__).resolve().parents[3] / "models" / "census-income" / "data" / "part-1.csv.gz"
NUMBERS = ("age", "education_num", "capital_gain", "capital_loss", "hours_per_week")
CATEGORIES = ("workclass", "marital_status", "occupation", "relationship", "native_country")


@dataclass
class Shift:
    """What is different: of the mean and scale of `hours_per_week` and `age` in deviations, of others in shares."""

    mean: float = 0.0
    scale: float = 1.0
    shares: float = 0.0
    missing: float = 0.0
    correlation: float = 0.0


@dataclass
class Generator:
    """The fitted generator. Categories are whole numbers, the most frequent first; -1 is missing."""

    columns: dict[str, Array] = field(default_factory=dict)
    missing: dict[str, float] = field(default_factory=dict)
    correlations: Array = field(default_factory=lambda: np.eye(1))

    @classmethod
    def fitted(cls) -> Generator:
        with gzip.open(DATA, "rt", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        made, scores = cls(), []
        for name in (*NUMBERS, *CATEGORIES):
            values = [row[name] for row in rows]
            if name in NUMBERS:
                codes = np.array(values, dtype=float)
                made.missing[name] = 0.0
            else:
                names, counts = np.unique([value for value in values if value != "?"], return_counts=True)
                place = {value: code for code, value in enumerate(names[np.argsort(-counts)])}
                codes = np.array([place.get(value, 0) for value in values])
                made.missing[name] = values.count("?") / len(values)
            made.columns[name] = np.sort(codes)
            scores.append(stats.norm.ppf((stats.rankdata(codes) - 0.5) / len(codes)))
        made.correlations = np.corrcoef(scores)
        return made

    def rows(self, generator: np.random.Generator, n: int, shift: Shift | None = None) -> dict[str, Array]:
        """Columns of n people, with what a model says about them."""
        shift = shift or Shift()
        matrix = self.correlations + 0.0
        others = ~np.eye(len(matrix), dtype=bool)
        matrix[others] *= 1 - shift.correlation
        latent = np.linalg.cholesky(matrix) @ generator.normal(size=(len(matrix), n))
        found: dict[str, Array] = {}
        for place, (name, known) in enumerate(self.columns.items()):
            z = latent[place]
            if name in {"age", "hours_per_week"}:
                z = z * shift.scale + shift.mean
            values = known[np.minimum((special.ndtr(z) * len(known)).astype(int), len(known) - 1)]
            if name == "occupation" and shift.shares:
                values = np.where(generator.random(n) < shift.shares, 0, values)
            share = self.missing[name] + (shift.missing if name in {"workclass", "age"} else 0.0)
            gone = generator.random(n) < share
            found[name] = np.where(gone, np.nan if name in NUMBERS else -1, values)
        effect = 0.05 * (np.nan_to_num(found["age"], nan=38) - 38) + 0.35 * (found["education_num"] - 10)
        found["(score)"] = special.expit(effect + 0.04 * (found["hours_per_week"] - 40) - 1.5)
        found["(label)"] = (found["(score)"] >= 0.5).astype(int)
        return found
