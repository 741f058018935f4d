"""Training: calls the ``fit`` hook of a model folder and saves its artifacts."""

import pickle
from pathlib import Path
from types import ModuleType
from typing import Any

from datarobot_drum.drum.commands.fit.masked_output import masked_output
from datarobot_drum.drum.commands.fit.training_data import TrainingData
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.custom_module import find_custom_file, import_custom_file
from datarobot_drum.drum.language_predictors.hook_errors import load_errors
from datarobot_drum.drum.language_predictors.hooks import FIT_HOOKS, find_hooks
from datarobot_drum.drum.language_predictors.import_scope import ImportScope
from datarobot_drum.drum.settings.build import ModelSettings

ARTIFACT = "model.pkl"


def train(model: ModelSettings, data: TrainingData, output: Path) -> bool:
    """Call the hooks ``init`` and ``fit``; pickle what ``fit`` returns if it has written nothing itself.

    Returns:
        True if ``custom.py`` loads its artifacts itself, with a ``load_model`` hook.

    Raises:
        ModelLoadError: there is no ``fit`` hook, a hook raised, or it produced nothing.
    """
    file = find_custom_file(model.code_dir)
    if file is None:
        raise ModelLoadError(f"There is no custom.py in {model.code_dir}: drum fit calls the fit hook that it defines.")
    scope = ImportScope([file.parent, model.code_dir])
    scope.open()
    try:
        with masked_output():
            module = import_custom_file(file, model.code_dir)
            _save(_call_hooks(module, model, data, output), output, model.code_dir)
        return hasattr(module, "load_model")
    finally:
        scope.close()


def _call_hooks(module: ModuleType, model: ModelSettings, data: TrainingData, output: Path) -> Any:
    hooks = find_hooks(module, FIT_HOOKS)
    if "fit" not in hooks:
        raise ModelLoadError(
            "custom.py has no fit hook: define fit(X, y, output_dir, **kwargs), which returns the trained model or "
            "saves it in output_dir."
        )
    if init := hooks.get("init"):
        with load_errors("The hook init failed", model.code_dir):
            init(code_dir=str(model.code_dir))
    with load_errors("The hook fit failed", model.code_dir):
        return hooks["fit"](
            data.features,
            data.target,
            str(output),
            class_order=list(model.class_labels) or None,
            row_weights=data.row_weights,
        )


def _save(trained: Any, output: Path, code_dir: Path) -> None:
    if any(output.iterdir()):
        return
    if trained is None:
        raise ModelLoadError(
            "The hook fit returned nothing and left output_dir empty: it must return the trained model, or save it "
            "there."
        )
    with load_errors(f"The {type(trained).__name__} that the hook fit returned cannot be pickled", code_dir):
        (output / ARTIFACT).write_bytes(pickle.dumps(trained))
