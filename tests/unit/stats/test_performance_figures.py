"""Performance without labels: calibration and estimates against what scikit-learn finds once the labels are known."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, mean_absolute_error, roc_auc_score

from interlock.kind import Kind
from interlock.stats.performance.calibrator import Calibrator
from interlock.stats.performance.estimate import estimate_accuracy, estimate_binary
from interlock.stats.performance.expected import Expected, category_places, number_places, worse
from interlock.stats.performance.losses import LossModel, root

Array = npt.NDArray[Any]


def loans(generator: np.random.Generator, n: int, mean: float = 0.0, steepness: float = 1.0) -> tuple[Array, Array]:
    """Labels and scores; with a steepness other than 1 the scores are over- or underconfident."""
    truth = 1 / (1 + np.exp(-(generator.normal(mean, 1.5, n))))
    scores = 1 / (1 + np.exp(-steepness * np.log(truth / (1 - truth))))
    return (generator.random(n) < truth).astype(int), scores


@pytest.mark.parametrize(("steepness", "methods"), [(1.0, {"none", "platt", "isotonic"}), (2.5, {"platt", "isotonic"})])
def test_the_calibration_is_chosen_by_its_error(steepness: float, methods: set[str]) -> None:
    generator = np.random.default_rng(0)
    y, scores = loans(generator, 4000, steepness=steepness)
    found = Calibrator.fitted(y, scores)
    assert found.method in methods
    later, raw = loans(generator, 20_000, steepness=steepness)
    # Never worse than scikit-learn's own two, by more than the noise of 4,000 rows.
    logit = np.log(scores / (1 - scores))[:, None]
    platt = LogisticRegression(C=1e6).fit(logit, y).predict_proba(np.log(raw / (1 - raw))[:, None])[:, 1]
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(scores, y).predict(raw)
    best = min(brier_score_loss(later, each) for each in (platt, isotonic))
    assert brier_score_loss(later, found(raw)) <= best + 0.001
    assert Calibrator.from_json(found.to_json()) == found


def test_isotonic_regression_is_scikit_learns() -> None:
    generator = np.random.default_rng(1)
    scores = np.sort(generator.random(1500))
    y = (generator.random(1500) < np.where(scores < 0.5, 0.2, 0.7)).astype(int)
    found = Calibrator.fitted(y, scores)
    assert found.method == "isotonic"
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, y).predict(scores)
    assert np.abs(found(scores) - theirs).mean() < 0.04


def test_estimates_before_labels_are_what_the_labels_say_later() -> None:
    generator = np.random.default_rng(2)
    calibrator = Calibrator.fitted(*loans(generator, 6000, steepness=1.7))
    inside: dict[str, list[bool]] = {}
    for _ in range(40):
        y, scores = loans(generator, 2000, mean=-1.0, steepness=1.7)
        found = estimate_binary(scores, 0.5, calibrator)
        realised = {
            "accuracy": accuracy_score(y, scores >= 0.5),
            "roc_auc": roc_auc_score(y, scores),
            "brier": brier_score_loss(y, scores),
            "log_loss": log_loss(y, scores),
        }
        assert set(found) == set(realised)
        for name, value in realised.items():
            assert found[name].value == pytest.approx(value, abs=0.06)
            inside.setdefault(name, []).append(found[name].low <= value <= found[name].high)
    # Of 95%, fewer than 33 of 40 come once in a thousand tries.
    assert min(sum(hits) for hits in inside.values()) >= 33


def test_a_changed_relation_is_not_seen_by_an_estimate() -> None:
    generator = np.random.default_rng(3)
    calibrator = Calibrator.fitted(*loans(generator, 5000))
    y, scores = loans(generator, 5000)
    found = estimate_binary(scores, 0.5, calibrator)["accuracy"]
    assert found.low <= accuracy_score(y, scores >= 0.5) <= found.high
    assert accuracy_score(1 - y, scores >= 0.5) < found.low


def test_the_accuracy_of_many_classes_follows_from_their_confidence() -> None:
    generator = np.random.default_rng(4)
    scores = generator.dirichlet([0.6] * 4, 6000)
    y = (generator.random(6000)[:, None] > np.cumsum(scores, axis=1)).sum(axis=1)
    expected = Expected.of(Kind.MULTICLASS, y, scores, None, {}, {})
    assert expected.holdout["accuracy"] == accuracy_score(y, scores.argmax(axis=1))
    other = generator.dirichlet([0.3] * 4, 3000)
    truth = (generator.random(3000)[:, None] > np.cumsum(other, axis=1)).sum(axis=1)
    assert expected.calibrator is not None
    found = estimate_accuracy(other.max(axis=1), expected.calibrator)["accuracy"]
    assert found.value == pytest.approx(accuracy_score(truth, other.argmax(axis=1)), abs=0.03)
    assert found.low < found.value < found.high


def rents(generator: np.random.Generator, n: int, old: float) -> tuple[Array, dict[str, Array]]:
    """Absolute errors that are larger for old houses in town, and the places of both columns."""
    age, town = (generator.random(n) < old).astype(int), generator.integers(0, 3, n)
    return np.abs(generator.normal(0, 1 + 2 * age * (town == 0), n)), {"age": age, "town": town}


def test_a_regressions_error_is_expected_from_its_inputs() -> None:
    generator = np.random.default_rng(5)
    sizes = {"age": 3, "town": 4}
    model = LossModel.from_json(LossModel.fitted(*rents(generator, 8000, 0.2), sizes).to_json())
    inside = 0
    for _ in range(30):
        losses, bins = rents(generator, 1500, 0.7)
        found = model.expected(bins, 1500)
        assert found.value == pytest.approx(mean_absolute_error(losses, np.zeros(1500)), abs=0.2)
        inside += found.low <= losses.mean() <= found.high
    assert inside >= 20
    # The mean of the holdout alone would be far off.
    assert rents(generator, 8000, 0.2)[0].mean() < model.expected(rents(generator, 1500, 0.7)[1], 1500).low
    assert root(model.expected(bins, 1500)).value == pytest.approx(found.value**0.5)


def test_places_of_values_known_unknown_and_missing() -> None:
    assert number_places((1.0, 2.0), np.array([0.5, 1.0, 9.0, np.nan])).tolist() == [0, 1, 2, 3]
    words = np.ma.masked_array(np.array(["b", "a", "new", ""], dtype=object), [False, False, False, True])
    assert category_places(("a", "b"), words).tolist() == [1, 0, 2, 3]


def test_worse_knows_which_way_is_up() -> None:
    assert worse(Kind.BINARY, "accuracy", 0.8, 0.9) == pytest.approx(0.1)
    assert worse(Kind.BINARY, "log_loss", 0.8, 0.9) == pytest.approx(-0.1)
