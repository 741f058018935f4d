"""Tiny models of transformers with random weights, and a tokenizer trained here."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs datarobot-drum[transformers]")
transformers = pytest.importorskip("transformers", reason="needs datarobot-drum[transformers]")
tokenizers = pytest.importorskip("tokenizers", reason="needs datarobot-drum[transformers]")

WORDS = "a good bad fine film ugly very not was the Ada lives in Bonn This example is . happy sad user assistant says"
MAX_TOKENS = 16
SIZES = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 16}
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    "{{ message['role'] }} says {{ message['content'] }} {% endfor %}{% if add_generation_prompt %}assistant says "
    "{% endif %}"
)


def tokenizer(max_tokens: int = MAX_TOKENS, template: str | None = None) -> Any:
    """A tokenizer of whole words, which starts and ends every text with a token, as BERT's does."""
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    special = ["[UNK]", "[PAD]", "[CLS]", "[SEP]"]
    inner.train_from_iterator([WORDS], tokenizers.trainers.WordLevelTrainer(special_tokens=special))
    if template is None:
        inner.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=max_tokens,
    )
    made.chat_template = template
    return made


def save_bert(folder: Path, head: str, labels: tuple[str, ...] = (), **config: Any) -> Any:
    """Save a model of BERT with a head; return the pipeline that transformers itself makes of the folder."""
    torch.manual_seed(0)
    words = tokenizer()
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: at for at, name in enumerate(labels)}}
    settings = transformers.BertConfig(
        vocab_size=len(words), max_position_embeddings=32, **SIZES, **(names if labels else {}), **config
    )
    model = getattr(transformers, f"Bert{head}")(settings)
    with torch.no_grad():  # random weights of a new model are too small to tell the classes apart
        for parameter in model.parameters():
            parameter.mul_(8)
    return _save(folder, model, words)


def save_gpt(folder: Path, template: str | None = None, **generation: Any) -> Any:
    torch.manual_seed(0)
    words = tokenizer(64, template)
    config = transformers.GPT2Config(
        vocab_size=len(words), n_positions=64, n_embd=16, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3
    )
    model = transformers.GPT2LMHeadModel(config)
    model.generation_config.update(**{"pad_token_id": 1, **generation})
    with torch.no_grad():
        model.transformer.wte.weight.mul_(20)
    return _save(folder, model, words)


def save_image_classifier(folder: Path, labels: tuple[str, ...]) -> Any:
    torch.manual_seed(0)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: at for at, name in enumerate(labels)}}
    config = transformers.ViTConfig(image_size=8, patch_size=4, **SIZES, **names)
    folder.mkdir(exist_ok=True)
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(folder)
    return transformers.pipeline("image-classification", model=str(folder))


def _save(folder: Path, model: Any, words: Any) -> Any:
    folder.mkdir(exist_ok=True)
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return transformers.pipeline(model=str(folder), task=_task(model))


def _task(model: Any) -> str:
    tasks = {"SequenceClassification": "text-classification", "TokenClassification": "token-classification"}
    tasks["LMHeadModel"] = "text-generation"
    return next((task for ending, task in tasks.items() if type(model).__name__.endswith(ending)), "feature-extraction")
