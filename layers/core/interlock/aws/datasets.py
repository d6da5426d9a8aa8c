"""A model's datasets in the table `state`."""

from __future__ import annotations

from interlock.aws.state import State
from interlock.datasets import place, training_set
from interlock.records import Dataset, Repeat


class Datasets:
    """The datasets of one model. Each lies under its content and the contract that judged it: there is only one."""

    def __init__(self, state: State, model: str) -> None:
        self._state, self._pk = state, f"model#{model}"

    def admitted(self) -> list[Dataset]:
        """All that were ever admitted, by the time of their upload."""
        return sorted(self._state.query(Dataset, self._pk, "dataset#"), key=place)

    def in_training(self, contract_sha256: str, without: str = "") -> list[Dataset]:
        """Those that take part in a training under this contract, oldest first.

        Args:
            contract_sha256: of today's contract.
            without: a claim whose upload is left out, to see what it changes.
        """
        repeats = self._state.query(Repeat, self._pk, "repeat#")
        return training_set(
            [dataset for dataset in self.admitted() if dataset.claim != without],
            [repeat for repeat in repeats if repeat.claim != without],
            contract_sha256,
        )

    def keep(self, dataset: Dataset) -> Dataset:
        """Store a dataset, unless there is one of its claim or of its content and contract; answers which is there.

        Of two that come at once, one is stored. Judged once more by its own claim, it names the files as they are now:
        those of the first time are old versions, which the bucket does not keep for ever.
        """
        known = self.admitted()
        judged = dataset.content, dataset.contract_sha256
        same = [item for item in known if item.claim == dataset.claim] or [
            item for item in known if (item.content, item.contract_sha256) == judged
        ]
        sk = f"dataset#{dataset.content}#{dataset.contract_sha256}"
        if same:
            if (same[0].claim, same[0].id) != (dataset.claim, dataset.id):
                return same[0]
            self._state.put(self._pk, sk, dataset)
            return dataset
        if self._state.put_new(self._pk, sk, dataset):
            return dataset
        return self._state.get(Dataset, self._pk, sk) or dataset

    def repeat(self, repeat: Repeat) -> None:
        """Store that a dataset's bytes were uploaded again."""
        self._state.put(self._pk, f"repeat#{repeat.claim}", repeat)
