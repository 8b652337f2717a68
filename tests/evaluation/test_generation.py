"""Sample texts are reproducible, and greedy ones are the likeliest tokens."""

import json

import pytest
import torch

from headrace.errors import ConfigError
from headrace.evaluation.generation import SAMPLES, SamplesConfig


def sample(store, model, **changes):
    config = SamplesConfig(**({"prompts": ("the mill",), "max_new_tokens": 6} | changes))
    opened = store.open_or_build(SAMPLES, config, {"model": model})
    return json.loads(opened.artifact.file("samples.json").read_bytes())


def test_default_prompts_hold_the_articles():
    assert "hangzhou is a beautiful city" in SamplesConfig().prompts


def test_greedy_text_is_the_likeliest_token_each_time(store, model, model_dir):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(model_dir, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True)
    ids = tokenizer.encode("the mill")
    start = len(ids)
    for _ in range(6):
        with torch.no_grad():
            ids.append(int(loaded(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == tokenizer.eos_token_id:
            break
    expected = tokenizer.decode(ids[start:], skip_special_tokens=True)
    assert sample(store, model)[0]["greedy"] == expected


def test_same_seed_same_texts_whatever_the_other_prompts(store, model):
    alone = sample(store, model, prompts=("the mill",))
    torch.rand(5)
    beside = sample(store, model, prompts=("old town", "the mill"))
    assert beside[1] == alone[0]
    other = sample(store, model, prompts=("the mill",), seed=2)
    assert other[0]["sampled"] != alone[0]["sampled"]
    assert other[0]["greedy"] == alone[0]["greedy"]


def test_text_ends_where_the_context_is_full(store, model):
    assert sample(store, model, max_new_tokens=500)[0]["greedy"]


def test_prompt_that_fills_the_context_is_refused(store, model):
    with pytest.raises(ConfigError, match="shorten"):
        sample(store, model, prompts=("zq" * 40,))
