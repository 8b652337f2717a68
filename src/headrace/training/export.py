"""The trained model as a Hugging Face directory whose bytes follow from the weights alone."""

from __future__ import annotations

from pathlib import Path

from transformers import GPTNeoXConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from headrace.artifacts import files

ROTARY_KEYS = {"rotary_pct": "partial_rotary_factor", "rotary_emb_base": "rope_theta"}


def write_final_model(model: PreTrainedModel, target: Path) -> None:
    """Write config.json, generation_config.json and model.safetensors (fp32).

    The directory appears under its name only when it is whole. Paths are left out of config.json;
    for GPT-NeoX the rotary settings are also written under the names that transformers 4 and
    FasterTransformer's converter read (transformers 5 renamed them, and the old ones' defaults
    would be wrong).
    """
    building = target.with_name(f".{target.name}")
    files.remove_tree(building)
    files.remove_tree(target)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    model.save_pretrained(building)
    path = building / "config.json"
    config = files.read_json(path)
    config.pop("_name_or_path", None)
    if isinstance(model.config, GPTNeoXConfig):
        rope = config["rope_parameters"]
        config |= {old: rope[new] for old, new in ROTARY_KEYS.items()}
    files.write_json(path, config)
    for item in files.walk_files(building):
        files.fsync_file(item)
    building.rename(target)
    files.fsync_directory(target.parent)
