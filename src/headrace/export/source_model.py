"""What FasterTransformer must know of an HF model, read from its `config.json`.

Both spellings of a GPT-NeoX config are read: transformers 4 (`rotary_pct`, `rotary_emb_base`,
`rope_scaling`) and transformers 5 (`rope_parameters`). Absent keys have the defaults of the HF
config classes. FasterTransformer hard-codes much of a model: whatever a config asks for beyond
that is refused here, with all reasons at once, since its runtime would answer nonsense instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headrace.errors import ConversionError

Family = Literal["gptneox", "gpt"]

# Head sizes for which FasterTransformer compiled its attention kernels.
SERVED_HEAD_SIZES = (32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256)
# Compiled into its GPT-NeoX model: no key of config.ini changes them.
NEOX_LAYERNORM_EPS = 1e-5
NEOX_ROTARY_BASE = 10000.0
# HF names of GELU; the runtime computes the tanh form for all of them.
GELU_ERF_NAMES = frozenset({"gelu", "gelu_python"})
GELU_TANH_NAMES = frozenset({"gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh"})

MAX_LAYERS = 1000


@dataclass(frozen=True, kw_only=True)
class SourceModel:
    """Sizes and switches of a model that FasterTransformer can express.

    Attributes:
        family: section of config.ini, `gptneox` or `gpt`.
        num_layers: transformer layers.
        num_heads: attention heads.
        hidden_size: width E; `head_dim` = E / num_heads.
        inter_size: width of the feed-forward part.
        vocab_size: rows of the embedding table.
        max_positions: rows of the position table (gpt), or the trained length (gptneox).
        rotary_dim: dimensions of a head that are rotated; 0 for gpt.
        parallel_residual: attention and feed-forward read the same input (gptneox only).
        layernorm_eps: epsilon of all layer norms.
        hidden_act: HF's name of the activation.
        tied: the output matrix is the embedding table.
        start_id: token that begins a text.
        end_id: token that ends it.
        notes: choices made where the config left one open.
    """

    family: Family
    num_layers: int
    num_heads: int
    hidden_size: int
    inter_size: int
    vocab_size: int
    max_positions: int
    rotary_dim: int
    parallel_residual: bool
    layernorm_eps: float
    hidden_act: str
    tied: bool
    start_id: int
    end_id: int
    notes: tuple[str, ...] = ()

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads


def read_source_model(
    config: Mapping[str, Any], generation: Mapping[str, Any] | None = None
) -> SourceModel:
    """Read sizes and switches from the content of `config.json`.

    Args:
        config: HF model config.
        generation: content of `generation_config.json`; asked for token ids that `config` lacks.

    Raises:
        ConversionError: FasterTransformer cannot express the model; lists every reason.
    """
    kind = config.get("model_type")
    if kind == "gpt_neox":
        reader = _Reader(config, generation or {})
        model = _read_neox(reader)
    elif kind == "gpt2":
        reader = _Reader(config, generation or {})
        model = _read_gpt2(reader)
    else:
        raise ConversionError(
            f"config.json: model_type 'gpt_neox' or 'gpt2' was expected, found {kind!r}: other "
            "architectures have no FasterTransformer export here"
        )
    reader.raise_problems()
    return model


class _Reader:
    """Typed access to config values; collects what is wrong instead of stopping at the first."""

    def __init__(self, config: Mapping[str, Any], generation: Mapping[str, Any]) -> None:
        self.config = config
        self.generation = generation
        self.problems: list[str] = []
        self.notes: list[str] = []

    def raise_problems(self) -> None:
        if self.problems:
            raise ConversionError(
                "config.json: FasterTransformer cannot express this model: "
                + "; ".join(self.problems)
            )

    def refuse_unless(self, holds: bool, reason: str) -> None:
        if not holds:
            self.problems.append(reason)

    def size(self, name: str, default: int | None = None) -> int:
        """A positive integer; 1 stands in for a bad one, so that reading can go on."""
        value = self.config.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        self.problems.append(f"{name} must be a positive integer, found {value!r}")
        return 1

    def number(self, name: str, default: float) -> float:
        value = self.config.get(name, default)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
        self.problems.append(f"{name} must be a positive number, found {value!r}")
        return default

    def token_ids(self, default_bos: int, default_eos: int) -> tuple[int, int]:
        """`(start_id, end_id)`: the model config's, else the generation config's."""
        end = self._token_id("eos_token_id", default_eos)
        start = self._token_id("bos_token_id", default_bos)
        if end is None:
            self.problems.append("eos_token_id is null, and the runtime needs an end_id")
            return 0, 0
        if start is None:
            self.notes.append(f"bos_token_id is null: start_id is the end token {end}")
            start = end
        return start, end

    def _token_id(self, name: str, default: int) -> int | None:
        value = self.config.get(name, default)
        if value is None:
            value = self.generation.get(name)
        if isinstance(value, list) and value:
            self.notes.append(f"{name} lists {value}: the runtime takes one, the first is written")
            value = value[0]
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.problems.append(f"{name} must be a token id, found {value!r}")
            return None
        return value

    def activation(self, name: str, default: str) -> str:
        value = str(self.config.get(name, default))
        self.refuse_unless(
            value in GELU_ERF_NAMES | GELU_TANH_NAMES,
            f"{name} = {value!r} (the runtime computes GELU)",
        )
        return value

    def switch(self, name: str, default: bool) -> bool:
        value = self.config.get(name, default)
        return default if value is None else bool(value)


def _common_checks(reader: _Reader, num_layers: int, hidden_size: int, num_heads: int) -> None:
    reader.refuse_unless(
        hidden_size % num_heads == 0,
        f"hidden size {hidden_size} is not a multiple of its {num_heads} heads",
    )
    reader.refuse_unless(
        num_layers <= MAX_LAYERS, f"{num_layers} layers (at most {MAX_LAYERS} are taken)"
    )
    reader.refuse_unless(
        reader.config.get("quantization_config") is None, "its weights are quantised"
    )


def _read_neox(reader: _Reader) -> SourceModel:
    hidden_size = reader.size("hidden_size", 6144)
    num_heads = reader.size("num_attention_heads", 64)
    num_layers = reader.size("num_hidden_layers", 44)
    _common_checks(reader, num_layers, hidden_size, num_heads)
    rotary_dim = _read_rotary(reader, hidden_size // num_heads)
    eps = reader.number("layer_norm_eps", NEOX_LAYERNORM_EPS)
    reader.refuse_unless(
        eps == NEOX_LAYERNORM_EPS, f"layer_norm_eps = {eps:g} (the runtime has 1e-05)"
    )
    reader.refuse_unless(
        reader.switch("attention_bias", True), "attention_bias = false (the runtime adds biases)"
    )
    start_id, end_id = reader.token_ids(0, 2)
    return SourceModel(
        family="gptneox",
        num_layers=num_layers,
        num_heads=num_heads,
        hidden_size=hidden_size,
        inter_size=reader.size("intermediate_size", 24576),
        vocab_size=reader.size("vocab_size", 50432),
        max_positions=reader.size("max_position_embeddings", 2048),
        rotary_dim=rotary_dim,
        parallel_residual=reader.switch("use_parallel_residual", True),
        layernorm_eps=eps,
        hidden_act=reader.activation("hidden_act", "gelu"),
        tied=reader.switch("tie_word_embeddings", False),
        start_id=start_id,
        end_id=end_id,
        notes=tuple(reader.notes),
    )


def _read_rotary(reader: _Reader, head_dim: int) -> int:
    """Number of rotated dimensions a head; what the runtime hard-codes of rotary is checked."""
    config = reader.config
    scaling = config.get("rope_scaling")
    nested = config.get("rope_parameters")
    rope: Mapping[str, Any] = nested if isinstance(nested, dict) else {}
    for values in (rope, scaling if isinstance(scaling, dict) else {}):
        kind = values.get("rope_type", values.get("type", "default"))
        reader.refuse_unless(kind == "default", f"rotary scaling {kind!r} (the runtime has none)")
    base = rope.get("rope_theta", config.get("rotary_emb_base", NEOX_ROTARY_BASE))
    reader.refuse_unless(
        base == NEOX_ROTARY_BASE, f"rotary base {base!r} (the runtime has {NEOX_ROTARY_BASE:g})"
    )
    share = rope.get("partial_rotary_factor", config.get("rotary_pct", 0.25))
    if not isinstance(share, int | float) or not 0 < share <= 1:
        reader.problems.append(f"rotary share {share!r} (expected in (0, 1])")
        return 0
    rotary_dim = int(head_dim * share)
    reader.refuse_unless(
        rotary_dim > 0 and rotary_dim % 2 == 0,
        f"{rotary_dim} rotated dimensions of {head_dim} (an even number is needed)",
    )
    return rotary_dim


def _read_gpt2(reader: _Reader) -> SourceModel:
    hidden_size = reader.size("n_embd", 768)
    num_heads = reader.size("n_head", 12)
    num_layers = reader.size("n_layer", 12)
    _common_checks(reader, num_layers, hidden_size, num_heads)
    reader.refuse_unless(
        reader.switch("scale_attn_weights", True),
        "scale_attn_weights = false (the runtime divides by the square root of the head size)",
    )
    reader.refuse_unless(
        not reader.switch("scale_attn_by_inverse_layer_idx", False),
        "scale_attn_by_inverse_layer_idx = true",
    )
    reader.refuse_unless(
        not reader.switch("add_cross_attention", False), "add_cross_attention = true"
    )
    has_inner = reader.config.get("n_inner") is not None
    start_id, end_id = reader.token_ids(50256, 50256)
    return SourceModel(
        family="gpt",
        num_layers=num_layers,
        num_heads=num_heads,
        hidden_size=hidden_size,
        inter_size=reader.size("n_inner") if has_inner else 4 * hidden_size,
        vocab_size=reader.size("vocab_size", 50257),
        max_positions=reader.size("n_positions", 1024),
        rotary_dim=0,
        parallel_residual=False,
        layernorm_eps=reader.number("layer_norm_epsilon", 1e-5),
        hidden_act=reader.activation("activation_function", "gelu_new"),
        tied=reader.switch("tie_word_embeddings", True),
        start_id=start_id,
        end_id=end_id,
        notes=tuple(reader.notes),
    )


def reasons_not_servable(model: SourceModel) -> list[str]:
    """Why NVIDIA's runtime would not serve an export of `model`, in words; [] if it would."""
    reasons = []
    if model.head_dim not in SERVED_HEAD_SIZES:
        sizes = ", ".join(str(size) for size in SERVED_HEAD_SIZES)
        reasons.append(f"head size {model.head_dim}: its kernels are compiled for {sizes}")
    if model.rotary_dim % 4:
        reasons.append(f"{model.rotary_dim} rotated dimensions: its kernels need a multiple of 4")
    for name, token in (("start_id", model.start_id), ("end_id", model.end_id)):
        if token >= model.vocab_size:
            reasons.append(f"{name} {token} is outside the vocabulary of {model.vocab_size}")
    return reasons


def drift_notes(model: SourceModel) -> list[str]:
    """Where NVIDIA's runtime computes something slightly different from the checkpoint."""
    notes = list(model.notes)
    if model.hidden_act in GELU_ERF_NAMES:
        notes.append(
            f"activation {model.hidden_act!r} is exact GELU; the runtime's tanh form shifts "
            "logits by about 2e-3 on small models"
        )
    return notes
