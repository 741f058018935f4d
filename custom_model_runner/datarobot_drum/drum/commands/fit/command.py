"""``drum fit``: from arguments to a model folder."""

import dataclasses
import sys
from pathlib import Path

from datarobot_drum.drum.commands.fit.model_folder import (
    add_code,
    add_metadata,
    add_requirements,
    atomic_output_folder,
    output_folder,
)
from datarobot_drum.drum.commands.fit.parity_check import ROWS, find_difference
from datarobot_drum.drum.commands.fit.training import train
from datarobot_drum.drum.commands.fit.training_data import (
    TrainingData,
    add_class_labels,
    read_training_data,
    to_declared_labels,
)
from datarobot_drum.drum.commands.input_file import input_path
from datarobot_drum.drum.commands.progress import progress_bar
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_model_settings, training_target
from datarobot_drum.runtime_parameters import mask_secrets

SUCCESS = 0


def fit(arguments: Arguments) -> int:
    """Train the model, save it and check it.

    Served predictions that differ are a warning. A model that cannot be served is an error, but its folder is kept
    for inspection.

    Raises:
        UsageError: an argument is missing or wrong.
        StartupError: training failed, or the trained model cannot be served.
        RequestError: the input cannot be read.
    """
    output = output_folder(arguments.output)
    target_type, metadata = training_target(arguments)
    data = read_training_data(arguments, target_type, metadata)
    model = build_model_settings(add_class_labels(arguments, metadata, target_type, data.target))
    data = dataclasses.replace(data, target=to_declared_labels(data.target, model.class_labels))
    with atomic_output_folder(output) as folder:
        loads_itself = train(model, data, folder)
        exclude = frozenset({input_path(arguments), output, folder})
        add_code(model.code_dir, folder, exclude=exclude, with_artifacts=loads_itself)
        add_requirements(folder)
        add_metadata(folder, model, arguments.target, data.features)
    print(f"Trained on {len(data.features)} rows and saved in {output}: {', '.join(_names(output))}")
    if not arguments.skip_predict:
        _check(arguments, data, output)
    print(f"Serve it: drum server --code-dir {output} --address 127.0.0.1:8080")
    return SUCCESS


def _names(folder: Path) -> list[str]:
    return sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())


def _check(arguments: Arguments, data: TrainingData, output: Path) -> None:
    """Serve the folder with no other arguments than the model's parameters."""
    served = Arguments(
        code_dir=str(output), language=arguments.language, runtime_params_file=arguments.runtime_params_file
    )
    with progress_bar() as on_progress:
        on_progress("checking the model by serving it", 0.0)
        difference = find_difference(served, data.features)
    if difference is None:
        print(f"Served, it predicts the first {min(len(data.features), ROWS)} rows as in process.")
    else:
        sys.stderr.write(mask_secrets(f"drum: warning: the served model is inconsistent: {difference}.\n"))
