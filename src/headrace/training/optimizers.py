"""AdamW with weight decay on matrices and embeddings only.

Which parameters decay follows from the kind of module they sit in, not from their names or rank: a
kind that this module does not know is an error, so that no new layer decays by accident. The fused
kernel is one pass over each parameter (about 6 % of a small CPU step) and elementwise, so its bits
depend on nothing but the inputs.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from headrace.errors import ConfigError
from headrace.training.config import PretrainingConfig

NORMS = (nn.LayerNorm,)
# Megatron-LM decays embeddings too; so do we.
MATRICES = (nn.Linear, nn.Embedding, Conv1D)


def decay_groups(
    model: nn.Module,
) -> tuple[dict[str, nn.Parameter], dict[str, nn.Parameter]]:
    """Sort a model's parameters by whether weight decay applies.

    Args:
        model: any model of linear, embedding and layer-norm modules; tied weights count once,
            under their first name.

    Returns:
        (decayed, not decayed), each a map from name to parameter in the model's own order.

    Raises:
        ConfigError: a parameter sits in a module of an unknown kind.
    """
    decayed: dict[str, nn.Parameter] = {}
    plain: dict[str, nn.Parameter] = {}
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        for own_name, parameter in module.named_parameters(recurse=False):
            name = f"{module_name}.{own_name}" if module_name else own_name
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if isinstance(module, NORMS) or (isinstance(module, MATRICES) and own_name == "bias"):
                plain[name] = parameter
            elif isinstance(module, MATRICES):
                decayed[name] = parameter
            else:
                raise ConfigError(
                    f"parameter {name} sits in a {type(module).__name__}, of which it is not known "
                    "whether weight decay applies; name the kind in training/optimizers.py"
                )
    return decayed, plain


def build_optimizer(model: nn.Module, config: PretrainingConfig) -> torch.optim.AdamW:
    """AdamW over both decay groups; its learning rate is set anew before every step."""
    decayed, plain = decay_groups(model)
    return torch.optim.AdamW(
        [
            {"params": list(decayed.values()), "weight_decay": config.weight_decay},
            {"params": list(plain.values()), "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(config.adam_beta1, config.adam_beta2),
        eps=config.adam_epsilon,
        fused=True,
    )
