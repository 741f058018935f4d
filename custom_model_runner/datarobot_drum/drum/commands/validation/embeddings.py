"""The check of embeddings: texts in one call, and each in a call of its own."""

import numpy as np

from datarobot_drum.drum.commands.validation.model_under_test import ModelUnderTest
from datarobot_drum.drum.commands.validation.results import CheckResult, Status, describe_error
from datarobot_drum.drum.exceptions import RequestError
from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput

CHECK = "embeddings equal single texts"
TEXTS = 25

CLOSE = 1e-5
"""Tolerance relative to the largest number of a vector, since 32-bit models may sum in another order."""


def check_embeddings(model: ModelUnderTest) -> CheckResult:
    """Compare the vectors of the first texts of the input in one call with those of each text alone."""
    texts = model.texts(TEXTS)
    if not texts:
        return CheckResult(CHECK, Status.SKIPPED, model.no_texts)
    try:
        together = _embed(model, texts)
        alone = np.concatenate([_embed(model, [text]) for text in texts])
    except (RequestError, ValueError) as error:
        detail = describe_error(error) if isinstance(error, RequestError) else "the lengths of the vectors differ"
        return CheckResult(CHECK, Status.FAILED, detail)
    if together.shape != alone.shape:
        return CheckResult(CHECK, Status.FAILED, "the vectors of single texts have another length")
    differences = np.abs(together - alone).max(axis=1)
    worst = int(np.argmax(differences / np.maximum(np.abs(together).max(axis=1), np.finfo(float).tiny)))
    if differences[worst] > CLOSE * np.abs(together[worst]).max():
        detail = f"the vector of text {worst + 1} differs by {differences[worst]:.3g} when it is embedded alone"
        return CheckResult(CHECK, Status.FAILED, detail)
    return CheckResult(CHECK, Status.PASSED, f"{len(texts)} texts, {together.shape[1]} dimensions")


def _embed(model: ModelUnderTest, texts: list[str]) -> np.ndarray:
    params = {"input": texts}
    return model.predictor.embed(EmbeddingInput(texts, params=params), {}).vectors.astype(float)
