"""The Python backend without a server: its model against HF, its requests, its refusals."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROMPTS = [[5, 6, 7, 30, 22], [90, 3], [17, 18, 17, 18, 40, 41, 42, 43, 44], [8]]
NO_END = 96


def inputs_of(prompts: list[list[int]], num_tokens: int, **more: Any) -> dict[str, np.ndarray]:
    width = max(len(prompt) for prompt in prompts)
    ids = np.full((len(prompts), width), 55, np.uint32)  # the padding is no zero on purpose
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = prompt
    column = np.ones((len(prompts), 1), np.uint32)
    tensors = {
        "input_ids": ids,
        "input_lengths": np.array([[len(prompt)] for prompt in prompts], np.uint32),
        "request_output_len": column * num_tokens,
    }
    return tensors | {name: np.asarray(value) for name, value in more.items()}


def generator(folder: Path) -> Any:
    from backend_model import Generator
    from ft_model import FtModel

    return Generator(FtModel(folder))


def answer(folder: Path, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    asked = generator(folder)
    outputs: dict[str, np.ndarray] = asked.generate(asked.check(tensors))
    return outputs


def greedy(model: Any, prompt: list[int], num_tokens: int) -> list[int]:
    """HF's greedy continuation, without an end token and without a cache."""
    import torch

    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(num_tokens):
            scores = model(torch.tensor([ids]), use_cache=False).logits[0, -1]
            ids.append(int(scores.argmax()))
    return ids


@pytest.mark.parametrize("num_ranks", [1, 2])
@pytest.mark.parametrize(
    "name", ["neox-sequential", "neox-parallel", "neox-tanh", "gpt2", "gpt2-exact-gelu"]
)
def test_logits_are_those_of_hf(make_export: Any, name: str, num_ranks: int) -> None:
    import torch
    from ft_model import FtModel

    model, folder = make_export(name, num_ranks)
    ours = FtModel(folder)
    ids = torch.randint(0, 97, (3, 20), generator=torch.Generator().manual_seed(1))
    positions = torch.arange(20).expand(3, 20)
    hidden = ours.forward(ids, positions, ours.new_cache(3, 20))
    with torch.inference_mode():
        expected = model(ids).logits
    worst = (ours.scores(hidden) - expected).abs().max().item()
    assert worst <= 1e-4 * max(1.0, expected.abs().max().item())


@pytest.mark.parametrize("name", ["neox-sequential", "neox-parallel", "gpt2"])
def test_ragged_batch_gives_each_prompts_own_greedy_tokens(make_export: Any, name: str) -> None:
    model, folder = make_export(name)
    tensors = inputs_of(PROMPTS, 12, end_id=np.full((4, 1), NO_END, np.uint32))
    outputs = answer(folder, tensors)
    assert outputs["output_ids"].shape == (4, 1, 9 + 12)
    assert outputs["output_ids"].dtype == np.uint32
    for row, prompt in enumerate(PROMPTS):
        expected = greedy(model, prompt, 12)
        if NO_END in expected:
            expected = expected[: expected.index(NO_END) + 1]
        length = int(outputs["sequence_length"][row, 0])
        assert outputs["output_ids"][row, 0, :length].tolist() == expected
        assert set(outputs["output_ids"][row, 0, length:].tolist()) <= {NO_END}


def test_each_prompt_may_ask_for_another_number_of_tokens(make_export: Any) -> None:
    _, folder = make_export("neox-sequential")
    wanted = np.array([[0], [3], [1], [5]], np.uint32)
    tensors = inputs_of(PROMPTS, 1) | {"request_output_len": wanted}
    tensors["end_id"] = np.full((4, 1), NO_END, np.uint32)
    lengths = answer(folder, tensors)["sequence_length"][:, 0]
    assert (lengths - [len(prompt) for prompt in PROMPTS]).tolist() == [0, 3, 1, 5]


def test_finished_prompts_stay_within_the_position_table(make_export: Any) -> None:
    model, folder = make_export("gpt2")
    prompts = [[3] * 60, [5, 6]]
    tensors = inputs_of(prompts, 1, end_id=np.full((2, 1), NO_END, np.uint32))
    tensors["request_output_len"] = np.array([[2], [30]], np.uint32)
    outputs = answer(folder, tensors)
    expected = greedy(model, prompts[1], 30)
    length = int(outputs["sequence_length"][1, 0])
    assert outputs["output_ids"][1, 0, :length].tolist() == expected[:length]


def test_padding_may_be_wider_than_the_position_table(make_export: Any) -> None:
    model, folder = make_export("gpt2")
    tensors = inputs_of([[5, 6]], 3, end_id=[[NO_END]])
    tensors["input_ids"] = np.full((1, 80), 7, np.uint32)
    tensors["input_ids"][0, :2] = [5, 6]
    outputs = answer(folder, tensors)
    assert outputs["output_ids"].shape == (1, 1, 83)
    assert outputs["output_ids"][0, 0, :5].tolist() == greedy(model, [5, 6], 3)


def test_a_request_that_would_fill_the_memory_is_refused(make_export: Any) -> None:
    from backend_model import RequestError

    _, folder = make_export("neox-sequential")
    with pytest.raises(RequestError, match="cache"):
        generator(folder).check(inputs_of(PROMPTS, 2_000_000))


def test_large_seeds_are_not_merged(make_export: Any) -> None:
    _, folder = make_export("neox-sequential")
    seeds = np.array([[2**60], [2**60 + 1], [0], [2**64 - 1]], np.uint64)
    request = generator(folder).check(inputs_of(PROMPTS, 1, random_seed=seeds))
    assert request.seeds == [2**60, 2**60 + 1, 0, 2**64 - 1]


def test_generation_stops_at_the_end_token(make_export: Any) -> None:
    model, folder = make_export("neox-sequential")
    expected = greedy(model, PROMPTS[0], 6)
    end = expected[len(PROMPTS[0]) + 2]
    first = expected.index(end, len(PROMPTS[0])) + 1
    outputs = answer(folder, inputs_of(PROMPTS[:1], 6, end_id=[[end]]))
    assert outputs["sequence_length"].tolist() == [[first]]
    assert outputs["output_ids"][0, 0].tolist() == expected[:first] + [end] * (11 - first)


def test_sampling_depends_on_the_seed_alone(make_export: Any) -> None:
    _, folder = make_export("neox-sequential")

    def sample(seed: int) -> list[int]:
        tensors = inputs_of(
            PROMPTS[:1], 20, random_seed=[[seed]], runtime_top_p=[[0.95]], temperature=[[1.5]],
            end_id=[[NO_END]],
        )  # fmt: skip
        return answer(folder, tensors)["output_ids"][0, 0].tolist()  # type: ignore[no-any-return]

    assert sample(1) == sample(1)
    assert len({tuple(sample(seed)) for seed in range(4)}) > 1


def test_top_k_of_one_and_a_tiny_top_p_are_greedy(make_export: Any) -> None:
    _, folder = make_export("neox-sequential")
    plain = answer(folder, inputs_of(PROMPTS, 8))["output_ids"]
    for option in ({"runtime_top_k": [[1]]}, {"runtime_top_p": [[1e-6]]}):
        assert (answer(folder, inputs_of(PROMPTS, 8, **option))["output_ids"] == plain).all()


def test_choose_takes_top_k_and_top_p_at_their_word() -> None:
    import torch
    from backend_model import choose

    scores = torch.tensor([0.5, 0.25, 0.15, 0.1]).log()
    draw = torch.Generator().manual_seed(0)

    def seen(top_k: int, top_p: float) -> set[int]:
        return {choose(scores, top_k=top_k, top_p=top_p, generator=draw) for _ in range(300)}

    assert seen(0, 0.0) == {0}
    assert seen(2, 0.0) == {0, 1}
    assert seen(0, 0.6) == {0, 1}
    assert seen(0, 0.5) == {0}
    assert seen(3, 0.99) == {0, 1, 2}
    assert seen(4, 0.0) == {0, 1, 2, 3}


def test_bad_words_never_come_and_stop_words_end(make_export: Any) -> None:
    model, folder = make_export("neox-sequential")
    expected = greedy(model, PROMPTS[0], 6)[5:]
    bad = np.array([[[expected[0], 0], [1, -1]]], np.int32)
    outputs = answer(folder, inputs_of(PROMPTS[:1], 6, bad_words_list=bad, end_id=[[NO_END]]))
    assert expected[0] not in outputs["output_ids"][0, 0, 5:].tolist()
    stop = np.array([[expected[1:3], [2, -1]]], np.int32)
    outputs = answer(folder, inputs_of(PROMPTS[:1], 6, stop_words_list=stop, end_id=[[NO_END]]))
    assert outputs["sequence_length"].tolist() == [[8]]


def test_repetition_penalty_pushes_seen_tokens_down(make_export: Any) -> None:
    _, folder = make_export("neox-sequential")
    tensors = inputs_of(PROMPTS[:1], 15, repetition_penalty=[[1e6]], end_id=[[NO_END]])
    ids = answer(folder, tensors)["output_ids"][0, 0].tolist()
    assert len(set(ids)) == len(ids)


def test_log_probs_are_those_of_the_chosen_tokens(make_export: Any) -> None:
    import torch

    model, folder = make_export("gpt2")
    tensors = inputs_of(PROMPTS[:1], 4, is_return_log_probs=[[True]], end_id=[[NO_END]])
    outputs = answer(folder, tensors)
    ids = torch.tensor(outputs["output_ids"][0].astype(np.int64))
    with torch.inference_mode():
        expected = model(ids).logits[0].log_softmax(-1)
    chosen = [float(expected[at - 1, ids[0, at]]) for at in range(5, 9)]
    assert outputs["output_log_probs"][0, 0].tolist() == pytest.approx(chosen, abs=1e-4)
    assert outputs["cum_log_probs"][0, 0] == pytest.approx(sum(chosen), abs=4e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_ids": np.zeros((4, 0), np.uint32)}, "input_ids"),
        ({"input_lengths": np.array([[0], [1], [1], [1]])}, "input_lengths"),
        ({"input_lengths": np.array([[10], [1], [1], [1]])}, "input_lengths"),
        ({"input_lengths": np.array([[1], [1]])}, "input_lengths"),
        ({"input_ids": np.full((4, 9), 97, np.uint32)}, "97"),
        ({"request_output_len": np.full((4, 1), 60, np.uint32)}, "64"),
        ({"beam_width": np.full((4, 1), 2, np.uint32)}, "beam"),
        ({"temperature": np.zeros((4, 1), np.float32)}, "temperature"),
        ({"runtime_top_p": np.full((4, 1), 1.5, np.float32)}, "runtime_top_p"),
        ({"repetition_penalty": np.zeros((4, 1), np.float32)}, "repetition_penalty"),
        ({"prompt_learning_task_name_ids": np.ones((4, 1), np.uint32)}, "prompt_learning"),
        ({"len_penalty": np.ones((4, 1), np.float32)}, "len_penalty"),
        ({"bad_words_list": np.zeros((4, 3, 2), np.int32)}, "bad_words_list"),
        ({"bad_words_list": np.full((4, 2, 1), 97, np.int32)}, "bad_words_list"),
        ({"stop_words_list": np.full((4, 2, 1), 2, np.int32)}, "stop_words_list"),
        ({"random_seed": np.zeros((3, 1), np.uint64)}, "random_seed"),
    ],
)
def test_what_cannot_be_done_is_refused(
    make_export: Any, change: dict[str, np.ndarray], words: str
) -> None:
    from backend_model import RequestError

    _, folder = make_export("gpt2")
    with pytest.raises(RequestError, match=words):
        generator(folder).check(inputs_of(PROMPTS, 4) | change)


def test_a_damaged_export_is_not_loaded(make_export: Any, tmp_path: Path) -> None:
    from ft_model import ExportError, FtModel

    _, folder = make_export("neox-sequential")
    broken = tmp_path / "1-gpu"
    shutil.copytree(folder, broken)
    target = broken / "model.layers.1.mlp.dense_h_to_4h.weight.0.bin"
    target.write_bytes(target.read_bytes()[:-4])
    with pytest.raises(ExportError, match="dense_h_to_4h"):
        FtModel(broken)
    (broken / "config.ini").unlink()
    with pytest.raises(ExportError, match=r"config\.ini"):
        FtModel(broken)
