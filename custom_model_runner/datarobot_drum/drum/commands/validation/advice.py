"""What to do about a failed check."""

from datarobot_drum.drum.commands.validation.results import CheckResult, Status

_ADVICE = {
    "model loads": "Start with `drum config MODEL_FOLDER --show-stacktrace`: it shows where loading fails.",
    "input is read": "Correct the hook read_input_data, or give an input in the format that it reads.",
    "output format": "Let score return a row per row of the input, with the columns of the target type.",
    "determinism": "Set the seed of random numbers in score, or at load; do not change the model while it predicts.",
    "batch equals single rows": (
        "In score, use no mean, rank, minimum, maximum or set of categories of the rows of the request."
    ),
    "row order": "Keep the order of the rows: sort or join only with the index of the input, and restore it.",
    "missing values": (
        "Impute missing cells in the pipeline, or reject them with a clear error if they cannot be predicted."
    ),
    "expected predictions": (
        "Compare the types of the columns with those of training: declare them under inputSchema in "
        "model-metadata.yaml. Compare the library versions with those of the notebook."
    ),
    "chat reply": "Let chat return a text, a message or a completion; let it yield only if params['stream'] is true.",
    "streamed chat reply": "Let chat yield texts or chunks if params['stream'] is true, or return a text.",
    "embeddings equal single texts": "Let embed return the vector of each text from this text alone, unpadded.",
}


def advice_for(result: CheckResult) -> str:
    """Return the advice for a failed check; empty for other results."""
    return _ADVICE.get(result.check, "") if result.status is Status.FAILED else ""
