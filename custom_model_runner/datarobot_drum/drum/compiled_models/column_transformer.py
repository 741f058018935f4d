"""A ColumnTransformer as one pass over the columns: each cell is read once, and blocks are written side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from datarobot_drum.drum.compiled_models.arrays import Columns, columns_of, require_finite
from datarobot_drum.drum.compiled_models.encoders import one_hot_step
from datarobot_drum.drum.compiled_models.forms import CannotCompileError, NotCoveredError, Step
from datarobot_drum.drum.compiled_models.numpy_transformers import compile_transformer
from datarobot_drum.drum.compiled_models.original_classes import class_name, outputs_arrays
from datarobot_drum.drum.tabular.lazy_pandas import pd


@dataclass(frozen=True, eq=False)
class Block:
    """The columns of one transformer, and its compiled form; None for a transformer that is called itself."""

    positions: tuple[int, ...]
    compiled: Step | None
    transformer: Any

    def transform(self, columns: Sequence[np.ndarray], data: Any) -> Any:
        if self.compiled is not None:
            return self.compiled(Columns([columns[position] for position in self.positions]))
        return self.transformer.transform(_select(data, self.positions))


def compile_column_transformer(transformer: Any, *, dense: bool) -> Step:
    """Return the compiled ``transform``.

    Args:
        dense: return an array even if the original's output is sparse.

    Raises:
        CannotCompileError: no block of it can be compiled.
    """
    if class_name(transformer) != "ColumnTransformer" or not outputs_arrays(transformer):
        raise CannotCompileError(f"no compiler for the transformer {type(transformer).__name__}")
    blocks = [_compile_block(transformer, name, part) for name, part, _ in transformer.transformers_]
    used = [block for block in blocks if block is not None]
    if not any(block.compiled for block in used) or transformer.transformer_weights:
        raise CannotCompileError("no block of the ColumnTransformer can be compiled")
    return _column_step(transformer, used, _output_function(transformer.sparse_output_, dense))


def _column_step(transformer: Any, blocks: Sequence[Block], finish: Callable[[list[Any]], Any]) -> Step:
    names = getattr(transformer, "feature_names_in_", None)
    known, width = None if names is None else list(names), transformer.n_features_in_

    def transform(data: Any) -> Any:
        if isinstance(data, pd.DataFrame) and known is not None and list(data.columns) != known:
            raise NotCoveredError
        columns = columns_of(data)
        if len(columns) != width or not len(columns[0]):
            raise NotCoveredError
        return finish([block.transform(columns, data) for block in blocks])

    return transform


def _compile_block(whole: Any, name: str, transformer: Any) -> Block | None:
    positions = getattr(whole, "_transformer_to_input_indices", {}).get(name)
    if transformer == "drop" or positions is None or not len(positions):
        if positions is None:
            raise CannotCompileError("the columns of a ColumnTransformer are not known")
        return None
    if transformer == "passthrough":
        return Block(tuple(positions), _numbers_only, transformer)
    try:
        compiled: Step | None = _compile_steps(transformer)
    except CannotCompileError:
        if not class_name(transformer):
            raise
        compiled = None
    return Block(tuple(positions), compiled, transformer)


def _compile_steps(transformer: Any) -> Step:
    """Compile a transformer of a block, or a pipeline of transformers; all of them or none."""
    name = class_name(transformer)
    if name == "OneHotEncoder" and outputs_arrays(transformer):
        return one_hot_step(transformer)
    if name == "FunctionTransformer" and transformer.func is None:
        compile_transformer(transformer)
        return _numbers_only
    if name != "Pipeline":
        return compile_transformer(transformer)
    steps = [_compile_steps(step) for _, step in transformer.steps if step not in (None, "passthrough")]
    if not outputs_arrays(transformer) or not steps:
        raise CannotCompileError("a Pipeline whose output was set")

    def transform(data: Any) -> Any:
        for step in steps:
            data = step(data)
        return data

    return transform


def _numbers_only(data: Any) -> np.ndarray:
    """Return passed columns as one array; texts among them change the type of the whole output."""
    values: np.ndarray = data.to_array()
    if values.dtype.kind == "O":
        raise NotCoveredError
    return values


def _output_function(is_sparse: bool, dense: bool) -> Callable[[list[Any]], Any]:
    if is_sparse and dense:
        return _finite_rows
    if not is_sparse:
        return lambda blocks: np.hstack([_to_dense(block) for block in blocks])
    from scipy import sparse

    return lambda blocks: sparse.csr_matrix(np.hstack([_to_dense(block) for block in blocks]))


def _finite_rows(blocks: list[Any]) -> np.ndarray:
    """Return dense rows for a step that gets sparse ones, in which no estimator accepts missing values."""
    rows = np.hstack([_to_dense(block) for block in blocks])
    if rows.dtype.kind == "f":
        require_finite(rows)
    return rows


def _to_dense(block: Any) -> Any:
    return block.toarray() if hasattr(block, "toarray") else block


def _select(data: Any, positions: tuple[int, ...]) -> Any:
    return data.iloc[:, list(positions)] if isinstance(data, pd.DataFrame) else data[:, list(positions)]
