"""Two samples of a column, counted as training and the monitor count them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from interlock.stats.drift.counted import Counted
from interlock.stats.drift.distribution import Tally, ordered
from interlock.stats.drift.reference import NumberReference, category_reference, number_reference

Array = npt.NDArray[Any]


def bins_of(reference: NumberReference, values: Array) -> Array:
    known = values[~np.isnan(values)].astype(np.float32)
    return np.bincount(np.searchsorted(reference.edges, known, side="right"), minlength=len(reference.counts))


def numeric(name: str, before: Array, now: Array) -> Counted:
    reference = number_reference(before, detailed=True)
    tally = reference.distribution.tally() if reference.distribution else None
    return Counted(
        column=name,
        bins=tuple(str(place) for place in range(len(reference.counts))),
        before=reference.counts,
        now=tuple(bins_of(reference, now).tolist()),
        missing_before=reference.missing,
        missing_now=int(np.isnan(now).sum()),
        distributions=(tally, Tally.of(tally.edges, ordered(now))) if tally else None,
        deviation=reference.distribution.deviation if reference.distribution else 0.0,
    )


def categorical(name: str, before: Array, now: Array) -> Counted:
    """Categories as whole numbers; a negative one is missing."""
    counts = np.bincount(before[before >= 0], minlength=1)
    reference = category_reference(
        [(str(place), int(count)) for place, count in enumerate(counts) if count], int((before < 0).sum())
    )
    places = [int(place) for place in reference.categories]
    found = np.bincount(now[now >= 0], minlength=max([len(counts), *places]) + 1)
    known = [int(found[place]) for place in places]
    rest = int(found.sum()) - sum(known)
    return Counted(
        column=name,
        bins=(*reference.categories, "(other)"),
        before=(*reference.counts, reference.other),
        now=(*known, rest),
        missing_before=reference.missing,
        missing_now=int((now < 0).sum()),
        new=0 if reference.other else rest,
        rest=True,
    )
