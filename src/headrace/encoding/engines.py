"""Engines that turn text into token ids.

One small protocol; Hugging Face `tokenizers` is the reference and the only engine so far (about
1.2 M tokens/s a core). Documents are text and nothing but text: letters that spell a special token
are encoded as letters.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from headrace.encoding.tokenizers import CONFIG_NAME, TOKENIZER_NAME
from headrace.errors import ConfigError, CorruptInputError

MAX_UINT16_VOCABULARY = 65535


class Engine(Protocol):
    """Encodes texts to token ids, without adding any token of its own."""

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Give the ids of each text: int64, shape [its number of tokens]."""
        ...


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """What packing must know of a tokenizer.

    Attributes:
        size: one more than the largest id.
        eos_id: id of the token that ends a document.
        special_ids: ids that text must never give.
    """

    size: int
    eos_id: int
    special_ids: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """The narrowest type blocks are written in: "uint16" up to 65535 tokens, else "int32"."""
        return "uint16" if self.size <= MAX_UINT16_VOCABULARY else "int32"


class HuggingFaceEngine:
    """The `tokenizers` library on one `tokenizer.json`.

    Args:
        directory: a tokenizer artifact's directory.

    Raises:
        CorruptInputError: it holds no readable tokenizer.
        ConfigError: it names no token that ends documents.
    """

    def __init__(self, directory: Path) -> None:
        # Shards are what runs in parallel; threads below would fight over the same cores.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        path = directory / TOKENIZER_NAME
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # noqa: BLE001  the binding raises nothing narrower
            raise CorruptInputError(f"{path}: a tokenizer was expected; {error}") from None
        settings = json.loads((directory / CONFIG_NAME).read_text(encoding="utf-8"))
        eos_id = self._tokenizer.token_to_id(settings.get("eos_token") or "")
        if eos_id is None:
            raise ConfigError(
                f"{directory / CONFIG_NAME}: an eos_token of the vocabulary was expected; found "
                f"{settings.get('eos_token')!r}"
            )
        # Without this, "<|endoftext|>" in an article about GPT-2 would end the document.
        self._tokenizer.encode_special_tokens = True
        added = self._tokenizer.get_added_tokens_decoder()
        special = {number for number, token in added.items() if token.special} | {eos_id}
        size = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.vocabulary = Vocabulary(size=size, eos_id=eos_id, special_ids=tuple(sorted(special)))

    def encode(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Give the ids of each text: int64, shape [its number of tokens]."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int64) for encoding in encodings]
