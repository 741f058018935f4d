"""Model files that are recognised, but not served: what they are, and what their owner can do."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from datarobot_drum.drum.artifact_predictors.compression import read_head

_HEAD_BYTES = 1024
_OWN_LOADER = "or add a custom.py with load_model and score hooks"


@dataclass(frozen=True)
class UnservedFormat:
    """A format: ``description`` and ``advice`` complete the sentence "model.rds is ...: ..."."""

    description: str
    advice: str
    content: re.Pattern[bytes] | None = None
    endings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"is {self.description}: {self.advice}"


def _content(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


_R = "convert it to PMML or ONNX and that to a served format, or train the model in Python; R is not served"

_FORMATS = (
    UnservedFormat(
        "a Git LFS pointer, not the file itself",
        "run git lfs pull before the folder is copied",
        _content(rb"version https://git-lfs"),
    ),
    UnservedFormat(
        "an XGBoost model in the old binary format, which XGBoost 3 does not read",
        'load it with XGBoost 2.1 or older and save it again with save_model("model.ubj")',
        _content(rb"binf|.{136}[\x04-\x40]\0{7}(reg|binary|multi|rank|count|survival):"),
    ),
    UnservedFormat(
        "a text dump of XGBoost, which cannot be loaded again",
        'save the model with save_model("model.ubj")',
        _content(rb"booster\[\d+\]:\r?\n|\s*\[\s*\{\s*\"nodeid\"\s*:"),
    ),
    UnservedFormat(
        "a JSON dump of LightGBM (dump_model), which LightGBM itself cannot load",
        'save the model with booster.save_model("model.txt")',
        _content(rb"\s*\{\s*\"name\"\s*:\s*\"tree\"\s*,\s*\"version\"\s*:\s*\"v\d"),
    ),
    UnservedFormat(
        "a CatBoost model in JSON",
        'save it with save_model("model.cbm")',
        _content(rb"\s*\{\s*\"(ctr_data|features_info)\"\s*:\s*[\[{]"),
    ),
    UnservedFormat(
        "a PMML document",
        f"export the model from its library in a served format (a pickle, ONNX), {_OWN_LOADER}: pypmml reads PMML with "
        "Java, sklearn-pmml-model reads a part of it without",
        _content(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<PMML\b"),
        (".pmml",),
    ),
    UnservedFormat("a file of R", _R, _content(rb"[XAB]\n\0\0\0[\x02\x03]|RD[AXB]\d\n"), (".rds", ".rdata", ".rda")),
    UnservedFormat(
        "a language model in the GGUF format",
        f"serve it with an engine (llama.cpp, vLLM) and name that as the engine of this model, {_OWN_LOADER}",
        _content(rb"GGUF|ggml|lmgg|fmgg|tjgg"),
        (".gguf", ".ggml"),
    ),
    UnservedFormat(
        "a file of weights alone (safetensors)",
        "add the config.json and the tokenizer that Hugging Face saves with them, or a custom.py whose load_model "
        "creates the model and loads them",
        _content(rb".{6}\0\0\{\s*\"(__metadata__\"|[^\"]{1,256}\"\s*:\s*\{\s*\"(dtype|shape|data_offsets)\")"),
        (".safetensors",),
    ),
    UnservedFormat(
        "a TensorFlow Lite model",
        f"save the Keras model as .keras, {_OWN_LOADER}",
        _content(rb".{4}TFL3"),
        (".tflite",),
    ),
    UnservedFormat("a Core ML model", f"export it to ONNX, {_OWN_LOADER}", None, (".mlmodel",)),
    UnservedFormat(
        "a TensorFlow graph",
        f"export the model as a SavedModel with its folder variables, as .keras or to ONNX, {_OWN_LOADER}",
        None,
        (".pb", ".pbtxt"),
    ),
    UnservedFormat(
        "a Java model", f"Java is not served; export the model to ONNX, {_OWN_LOADER}", None, (".jar", ".mojo")
    ),
    UnservedFormat("a Julia model", f"Julia is not served; export the model, {_OWN_LOADER}", None, (".jlso",)),
    UnservedFormat(
        "compressed with lz4, which is not installed",
        "install it, or save the model with another compression",
        _content(rb"\x04\x22\x4d\x18"),
    ),
    UnservedFormat(
        "compressed with Zstandard", "save the model with another compression", _content(rb"\x28\xb5\x2f\xfd")
    ),
    UnservedFormat("a tar archive", "unpack it into the model folder", _content(rb".{257}ustar"), (".tar", ".tgz")),
)

_MOJO = UnservedFormat("an H2O MOJO", f"Java is not served; export the model to ONNX or PMML, {_OWN_LOADER}")
_TORCHSERVE = UnservedFormat(
    "an archive of TorchServe", "unpack the model file (.pt, .pth) in it into the model folder"
)
_ZIP = UnservedFormat("a zip archive", "unpack it into the model folder")


def unserved_format(path: Path) -> UnservedFormat | None:
    """Return the format of a file that is known but not served, detected from its content or else from its name."""
    ending = path.suffix.lower()
    return unserved_content(path) or next((known for known in _FORMATS if ending in known.endings), None)


def unserved_content(path: Path) -> UnservedFormat | None:
    """Return the format of a file whose content is known but not served."""
    head = read_head(path, _HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return _archive_format(path)
    return next((known for known in _FORMATS if known.content and known.content.match(head)), None)


def _archive_format(path: Path) -> UnservedFormat | None:
    """Return the format of an archive; None unless its members or its name show one."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return None
    if "model.ini" in names or any(name.endswith("mojo/pipeline.pb") for name in names):
        return _MOJO
    if any(name.startswith("MAR-INF/") for name in names):
        return _TORCHSERVE
    return _ZIP if path.suffix.lower() == ".zip" else None
