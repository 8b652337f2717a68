"""Held-out perplexity against Hugging Face's loss and a unigram model counted by hand."""

import collections
import json
import math

import numpy as np
import pytest
import torch

from headrace.errors import ConfigError
from headrace.evaluation.perplexity import (
    EVALUATION,
    EvaluationConfig,
    token_bytes,
    unigram_log_probabilities,
)


def evaluate(store, model, blocks, **changes):
    opened = store.open_or_build(
        EVALUATION, EvaluationConfig(**changes), {"model": model, "blocks": blocks}
    )
    return json.loads(opened.artifact.file("evaluation.json").read_bytes())


def oracle_loss(model_dir, rows):
    """Mean loss per predicted token, one block at a time, by the model's own `labels`."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_dir, local_files_only=True)
    with torch.no_grad():
        losses = [
            model(input_ids=block[None], labels=block[None]).loss.item()
            for block in torch.from_numpy(rows)
        ]
    return sum(losses) / len(losses)


def oracle_unigram(train, rows, vocab_size):
    counts = collections.Counter(train.ravel().tolist())
    total = train.size + vocab_size
    targets = [token for row in rows.tolist() for token in row[1:]]
    return -sum(math.log((counts[token] + 1) / total) for token in targets) / len(targets)


def test_figures_are_those_of_independent_oracles(
    store, model, make_blocks, block_arrays, model_dir
):
    report = evaluate(store, model, make_blocks(block_arrays), batch_size=4)
    held_out = np.concatenate([block_arrays["valid"], block_arrays["test"]])
    splits = {name: (block_arrays[name], report["splits"][name]) for name in ("valid", "test")}
    for rows, figures in [(held_out, report), *splits.values()]:
        loss = oracle_loss(model_dir, rows)
        unigram = oracle_unigram(block_arrays["train"], rows, 290)
        assert figures["num_tokens"] == rows[:, 1:].size
        assert figures["loss"] == pytest.approx(loss, rel=2e-5)
        assert figures["perplexity"] == pytest.approx(math.exp(loss), rel=1e-4)
        assert figures["bits_per_token"] == pytest.approx(loss / math.log(2), rel=2e-5)
        assert figures["unigram_perplexity"] == pytest.approx(math.exp(unigram), rel=1e-5)
        assert figures["ratio"] == pytest.approx(math.exp(loss - unigram), rel=1e-4)


def test_bits_per_byte_counts_the_bytes_of_the_targets_text(
    store, model, make_blocks, block_arrays, model_dir
):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
    plain = "the old mill wheel turns in the town and the wheel turns on "
    ids = tokenizer.encode(plain * 3).ids[:16]
    arrays = {**block_arrays, "valid": np.array([ids]), "test": np.array([ids])}
    report = evaluate(store, model, make_blocks(arrays))
    num_bytes = 2 * len(tokenizer.decode(ids[1:]).encode())
    assert report["num_bytes"] == num_bytes
    bits = report["bits_per_token"] * report["num_tokens"]
    assert report["bits_per_byte"] == pytest.approx(bits / num_bytes, rel=1e-5)


def test_token_bytes_are_exact_for_every_text(tokenizer_file):
    from tokenizers import Tokenizer

    lengths = token_bytes(tokenizer_file)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    for text in ("the mill", "Über die Brücke", "\n\t 汉字 wheel\U0001f600", ""):
        assert lengths[tokenizer.encode(text).ids].sum() == len(text.encode())
    assert lengths[tokenizer.token_to_id("<|endoftext|>")] == 0


def test_tokenizer_of_another_kind_gives_no_byte_counts(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"decoder": {"type": "WordPiece"}, "model": {"vocab": {"a": 0}}}))
    assert token_bytes(path) is None
    assert token_bytes(tmp_path / "missing.json") is None


def test_one_empty_split_is_left_out(store, model, make_blocks, block_arrays):
    arrays = {**block_arrays, "test": block_arrays["test"][:0]}
    report = evaluate(store, model, make_blocks(arrays))
    assert set(report["splits"]) == {"valid"}
    assert report["loss"] == report["splits"]["valid"]["loss"]


def test_nothing_held_out_is_a_config_error(store, model, make_blocks, block_arrays):
    arrays = {name: rows if name == "train" else rows[:0] for name, rows in block_arrays.items()}
    with pytest.raises(ConfigError, match="neither valid nor test"):
        evaluate(store, model, make_blocks(arrays))


def test_blocks_of_another_vocabulary_are_refused(store, model, make_blocks, block_arrays):
    foreign = block_arrays["valid"].copy()
    foreign[0, 3] = 290
    for name in ("valid", "train"):
        with pytest.raises(ConfigError, match="another tokenizer"):
            evaluate(store, model, make_blocks({**block_arrays, name: foreign}))


def test_unigram_probabilities_sum_to_one_and_unseen_tokens_get_some():
    logarithms = unigram_log_probabilities(np.array([5, 0, 3]))
    assert np.exp(logarithms) == pytest.approx([6 / 11, 1 / 11, 4 / 11])


def test_threads_of_the_process_are_left_as_they_were(store, model, make_blocks, block_arrays):
    before = torch.get_num_threads()
    evaluate(store, model, make_blocks(block_arrays), num_threads=1)
    assert torch.get_num_threads() == before
