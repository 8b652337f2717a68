"""Model settings, initial weights and decay groups."""

import math

import pytest
import torch
from torch import nn

from headrace.config import parse_config
from headrace.errors import ConfigError
from headrace.models.presets import PRESETS, ModelConfig, num_parameters
from headrace.training.config import PretrainingConfig
from headrace.training.initialization import build_hf_config, build_model
from headrace.training.optimizers import build_optimizer, decay_groups

FASTER_TRANSFORMER_HEADS = {32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256}
ARCHITECTURES = ["gpt-neox", "gpt2"]


def build(architecture, seed=0, **changes):
    config = ModelConfig(architecture=architecture, preset="tiny", **changes)
    hf_config = build_hf_config(config, vocab_size=101, seq_len=16, bos_id=0, eos_id=0)
    return config, build_model(hf_config, num_layers=config.size.num_layers, seed=seed)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_served_by_faster_transformer(name):
    assert ModelConfig(preset=name).size.head_size in FASTER_TRANSFORMER_HEADS


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_parameter_count_is_that_of_the_model(architecture):
    config, model = build(architecture)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert num_parameters(config, vocab_size=101, seq_len=16) == counted


def test_published_sizes_have_their_published_counts():
    for name, millions in (("124m", 124.4), ("345m", 354.8), ("1.3b", 1315.7)):
        config = ModelConfig(architecture="gpt2", preset=name)
        seq_len = 2048 if name == "1.3b" else 1024
        count = num_parameters(config, vocab_size=50257, seq_len=seq_len)
        assert count / 1e6 == pytest.approx(millions, abs=0.1)


def test_explicit_sizes_override_the_preset():
    size = ModelConfig(preset="demo", hidden_size=192, num_heads=6).size
    assert (size.hidden_size, size.num_layers, size.intermediate_size) == (192, 4, 768)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"preset": None}, "required"),
        ({"preset": "demo", "num_heads": 3}, "multiple"),
        ({"preset": "demo", "rotary_fraction": 0.2}, "rotary_fraction"),
        ({"preset": "enormous"}, "preset"),
        ({"depth": 3}, "depth"),
    ],
)
def test_impossible_models_are_refused_in_words(values, word):
    with pytest.raises(ConfigError, match=word):
        parse_config(ModelConfig, values, source="test")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_initial_weights_follow_the_seed_and_megatrons_scales(architecture):
    _, first = build(architecture, hidden_size=128, num_heads=4)
    _, again = build(architecture, hidden_size=128, num_heads=4)
    _, other = build(architecture, hidden_size=128, num_heads=4, seed=1)
    for (name, one), two in zip(first.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two), name
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    for name, parameter in first.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name
        else:
            residual = "attention.dense" in name or "4h_to_h" in name or "c_proj" in name
            scale = 0.02 / math.sqrt(4) if residual else 0.02
            assert parameter.detach().std().item() == pytest.approx(scale, rel=0.05), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_biases_and_norms_never_decay_and_all_else_does(architecture):
    _, model = build(architecture)
    decayed, plain = decay_groups(model)
    assert {name for name in plain} == {n for n, p in model.named_parameters() if p.ndim == 1}
    assert set(decayed) | set(plain) == {name for name, _ in model.named_parameters()}
    assert any("emb" in name or "wte" in name for name in decayed)


def test_decay_shrinks_only_decayed_parameters():
    _, model = build("gpt-neox")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    optimizer = build_optimizer(model, PretrainingConfig(learning_rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        expected = 1.0 if parameter.ndim == 1 else 0.95
        assert torch.allclose(parameter, torch.tensor(expected)), name


def test_unknown_kind_of_module_is_refused():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with pytest.raises(ConfigError, match="Odd"):
        decay_groups(nn.Sequential(nn.Linear(3, 3), Odd()))
