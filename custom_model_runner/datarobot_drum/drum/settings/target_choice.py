"""The target type of a model, from arguments, else from model-metadata.yaml."""

from datarobot_drum.drum.exceptions import StartupError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build_record import BuildRecord
from datarobot_drum.drum.settings.metadata_keys import misspelt_keys
from datarobot_drum.drum.settings.model_metadata import FILE_NAME, ModelMetadata
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.runtime_parameters.origins import Origin, Source


def choose_target_type(arguments: Arguments, metadata: ModelMetadata, record: BuildRecord) -> TargetType:
    """Return the target type and note its origin.

    Raises:
        UsageError: there is none, or the argument is wrong.
        StartupError: that of the metadata is unknown.
    """
    if "target_type" in arguments.errors:
        raise UsageError(arguments.errors["target_type"])
    text = arguments.target_type or metadata.target_type
    if text and not arguments.target_type:
        record.origins["--target-type"] = Origin(Source.METADATA, "targetType")
    if not text:
        hint = f" The model does not show it: {arguments.target_hint}." if arguments.target_hint else ""
        hint += "".join(f" {sentence}" for sentence in misspelt_keys(metadata.document))
        raise UsageError(
            f"--target-type is missing: give the flag, the variable TARGET_TYPE, or targetType in {FILE_NAME}.{hint}"
        )
    try:
        return TargetType(text.lower())
    except ValueError:
        known = ", ".join(target_type.value for target_type in TargetType)
        raise StartupError(f"targetType {text!r} in {FILE_NAME} is not one of {known}.") from None
