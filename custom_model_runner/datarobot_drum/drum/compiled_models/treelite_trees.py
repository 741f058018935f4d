"""Evaluate trees with treelite's GTIL so that sums have the bits of the original.

GTIL adds the values of the leaves in the order of the trees, and a base score last. The boosting libraries add theirs
first. So the base score is added to the leaves of the first tree, which is the first addition of the original.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import treelite

BATCH_THREADS = 1
"""More threads than one cost more for a few rows than they save."""

_AROUND_ROWS = 40_000
"""Maximum rows around the thresholds of a model; of more thresholds a part is drawn."""


class Trees:
    """An imported model.

    Args:
        model: treelite's model.
        dtype: the type of the samples that it takes.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.dtype = np.dtype(model.input_type)
        header = model.get_header_accessor()
        self._base_scores = header.get_field("base_scores").copy()
        self._base_leaves = {tree: self._leaf_values(tree) for tree in self._first_trees(header)}

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of the leaves: an array of rows, targets and classes."""
        sums: np.ndarray = treelite.gtil.predict(self.model, values, nthread=BATCH_THREADS, pred_margin=True)
        return sums

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Return the sums after the function of the model's objective."""
        output: np.ndarray = treelite.gtil.predict(self.model, values, nthread=BATCH_THREADS)
        return output

    @property
    def base_scores(self) -> np.ndarray:
        """The base score of each class, as it was imported."""
        scores: np.ndarray = self._base_scores
        return scores

    def add_base_first(self, base_scores: np.ndarray) -> None:
        """Add a base score for each class before the first tree; replaces the one that was added before."""
        for position, (tree, leaves) in enumerate(self._base_leaves.items()):
            base = base_scores[position].astype(leaves.dtype)
            self.model.get_tree_accessor(tree).set_field("leaf_value", leaves + base)
        self._set_header("base_scores", np.zeros_like(self._base_scores))

    def sum_only(self) -> None:
        """Return sums over the trees, not averages."""
        self._set_header("average_tree_output", np.zeros(1, np.uint8))

    def set_leaf_values(self, tree: int, values: np.ndarray) -> None:
        """Replace the values of all nodes of a tree."""
        self.model.get_tree_accessor(tree).set_field("leaf_value", values)

    def set_leaf_vectors(self, tree: int, values: np.ndarray) -> None:
        """Replace the vectors of the leaves of a tree; ``values`` has a row for each of its nodes."""
        accessor = self.model.get_tree_accessor(tree)
        begin, end = accessor.get_field("leaf_vector_begin"), accessor.get_field("leaf_vector_end")
        vectors = accessor.get_field("leaf_vector").copy()
        for node in np.flatnonzero(end > begin):
            vectors[int(begin[node]) : int(end[node])] = values[node].ravel()
        accessor.set_field("leaf_vector", vectors)

    @property
    def nbytes(self) -> int:
        return len(self.model.serialize_bytes())

    def rows_around_thresholds(self, width: int) -> Iterator[np.ndarray]:
        """Yield blocks of rows whose cells are at the thresholds of their columns, or next to one.

        Each threshold occurs, as float32 and as float64, itself and one unit in the last place to either side.
        """
        thresholds = self._thresholds(width)
        generator = np.random.default_rng(0)
        columns = [_shuffled(_around(values), generator) for values in thresholds]
        rows = min(max((len(column) for column in columns), default=0), _AROUND_ROWS)
        matrix = np.empty((rows, width), np.float64)
        for position, column in enumerate(columns):
            matrix[:, position] = np.resize(column, rows) if len(column) else generator.normal(size=rows)
        yield from np.array_split(matrix, max(1, rows // 500)) if rows else ()

    def _thresholds(self, width: int) -> list[np.ndarray]:
        found: list[list[np.ndarray]] = [[] for _ in range(width)]
        for tree in range(self.model.num_tree):
            accessor = self.model.get_tree_accessor(tree)
            splits, thresholds = accessor.get_field("split_index"), accessor.get_field("threshold")
            inner = accessor.get_field("cleft") >= 0
            for column in np.unique(splits[inner]):
                found[column].append(thresholds[inner & (splits == column)].astype(np.float64))
        return [np.unique(np.concatenate(items)) if items else np.empty(0) for items in found]

    def _first_trees(self, header: Any) -> list[int]:
        """Return the first tree of each class."""
        classes = header.get_field("class_id").tolist()
        if len(self._base_scores) == 1:
            return [0]
        return [classes.index(number) for number in range(len(self._base_scores)) if number in classes]

    def _leaf_values(self, tree: int) -> np.ndarray:
        values: np.ndarray = self.model.get_tree_accessor(tree).get_field("leaf_value").copy()
        return values

    def _set_header(self, name: str, value: np.ndarray) -> None:
        self.model.get_header_accessor().set_field(name, value)


def _around(values: np.ndarray) -> np.ndarray:
    """Return the values, and the next floats of either precision on both sides."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = values.astype(np.float32)
        near = [values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf), single.astype(np.float64)]
        near += [np.nextafter(single, np.float32(side)).astype(np.float64) for side in (np.inf, -np.inf)]
        found: np.ndarray = np.unique(np.concatenate(near))
    finite: np.ndarray = found[np.isfinite(found)]
    return finite


def _shuffled(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    shuffled: np.ndarray = generator.permutation(values)
    return shuffled
