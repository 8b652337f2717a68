"""The training log follows the checkpoint that a run resumes from."""

import json

from headrace.plots import draw_losses
from headrace.training.logbook import Logbook, cut_log, read_log


def write_lines(path, steps):
    path.write_text("".join(json.dumps({"step": step, "loss": 1.0}) + "\n" for step in steps))


def test_cut_removes_what_lies_behind_the_step(tmp_path):
    log = tmp_path / "log.jsonl"
    write_lines(log, range(1, 9))
    assert [record["step"] for record in cut_log(log, 5)] == [1, 2, 3, 4, 5]
    assert [record["step"] for record in read_log(log)] == [1, 2, 3, 4, 5]


def test_half_line_of_a_kill_is_dropped(tmp_path):
    log = tmp_path / "log.jsonl"
    write_lines(log, [1, 2])
    with log.open("a") as file:
        file.write('{"step": 3, "lo')
    assert [record["step"] for record in cut_log(log, 9)] == [1, 2]
    assert log.read_text().endswith("}\n")


def test_logbook_appends_and_remembers_evaluations(tmp_path):
    log, board = tmp_path / "log.jsonl", tmp_path / "board"
    with Logbook(log, board, step=0) as book:
        book.write(1, {"loss": 2.0, "learning_rate": 0.1})
        book.write(1, {"valid_loss": 2.5, "valid_perplexity": 12.2})
        book.write(2, {"loss": 1.5, "learning_rate": 0.1})
    with Logbook(log, board, step=1) as book:
        assert book.evaluated_steps == {1}
        book.write(2, {"loss": 1.5, "learning_rate": 0.1})
    assert [record["step"] for record in read_log(log)] == [1, 1, 2]


def test_tensorboard_holds_the_values(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with Logbook(tmp_path / "log.jsonl", tmp_path / "board", step=0) as book:
        for step in (1, 2):
            book.write(step, {"loss": 4.0 - step, "grad_norm": 1.0})
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert [(item.step, item.value) for item in events.Scalars("train/loss")] == [(1, 3), (2, 2)]


def test_loss_picture_is_a_png(tmp_path):
    records = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "valid_loss": 1.2}]
    assert draw_losses(records).startswith(b"\x89PNG")
    assert draw_losses([]).startswith(b"\x89PNG")
