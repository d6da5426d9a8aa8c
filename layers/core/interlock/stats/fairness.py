"""Whether groups are served alike: equal opportunity (Hardt, Price and Srebro 2016) and selection rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from interlock.stats.shares import newcombe


@dataclass(frozen=True)
class Group:
    """One group on the holdout. `true_positive_rate` is None without positives."""

    name: str
    rows: int
    positives: int
    true_positive_rate: float | None
    selection_rate: float
    too_few: bool


@dataclass(frozen=True)
class Opportunity:
    """The gap in true positive rates between the best and the worst judged group, with its 95% interval.

    `gap` is None when fewer than two groups have enough positives; `selection_ratio` is the lowest selection rate
    over the highest, among groups that are judged.
    """

    groups: tuple[Group, ...]
    gap: float | None
    low: float | None
    high: float | None
    best: str | None
    worst: str | None
    selection_ratio: float | None


def equal_opportunity(
    y: npt.NDArray[np.generic], predicted: npt.NDArray[np.generic], groups: npt.NDArray[np.str_], min_positives: int
) -> Opportunity:
    """Compare how often those who should be found are found, group by group.

    Args:
        y: 1 for those who should be found [n].
        predicted: 1 for those who were [n].
        groups: each row's group [n].
        min_positives: groups with fewer positives are reported, never judged.
    """
    right, found = np.asarray(y, dtype=bool), np.asarray(predicted, dtype=bool)
    every = []
    for name in sorted(set(groups.tolist())):
        mine = groups == name
        positives, hits = int((mine & right).sum()), int((mine & right & found).sum())
        every.append(
            Group(
                name=str(name),
                rows=int(mine.sum()),
                positives=positives,
                true_positive_rate=hits / positives if positives else None,
                selection_rate=float(found[mine].mean()),
                too_few=positives < min_positives,
            )
        )
    judged = [group for group in every if not group.too_few and group.true_positive_rate is not None]
    if len(judged) < 2:
        return Opportunity(tuple(every), None, None, None, None, None, None)
    best = max(judged, key=lambda group: group.true_positive_rate or 0.0)
    worst = min(judged, key=lambda group: group.true_positive_rate or 0.0)
    low, high = newcombe(
        best.true_positive_rate or 0.0, best.positives, worst.true_positive_rate or 0.0, worst.positives
    )
    rates = [group.selection_rate for group in judged]
    return Opportunity(
        groups=tuple(every),
        gap=(best.true_positive_rate or 0.0) - (worst.true_positive_rate or 0.0),
        low=low,
        high=high,
        best=best.name,
        worst=worst.name,
        selection_ratio=min(rates) / max(rates) if max(rates) else None,
    )
