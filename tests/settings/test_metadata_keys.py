"""Keys of model-metadata.yaml that look like one that is read."""

import pytest

from datarobot_drum.drum.settings.metadata_keys import READ_KEYS, misspelt_keys


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("targettype", "targetType"),
        ("target_type", "targetType"),
        ("runtimeParameters", "runtimeParameterDefinitions"),
        ("inputschema", "inputSchema"),
        ("positiveClass", "positiveClassLabel"),
        ("labels", "classLabels"),
    ],
)
def test_a_key_that_nothing_reads_names_the_nearest_one(key: str, nearest: str) -> None:
    for document in ({key: 1}, {"inferenceModel": {key: 1}}):
        assert list(misspelt_keys(document)) == [
            f"{key} in model-metadata.yaml has no effect: there is no such key (did you mean {nearest}?)."
        ]


def test_keys_of_others_and_foreign_ones_are_no_misspellings() -> None:
    known = (*READ_KEYS, "type", "description", "environmentID", "modelID", "majorVersion", "owner", "tags", "licence")
    assert list(misspelt_keys(dict.fromkeys(known, 1))) == []
    assert list(misspelt_keys(None)) == []
