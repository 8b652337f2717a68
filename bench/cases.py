"""What is measured so far: extraction and encoding."""

from __future__ import annotations

import bz2
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.measure import Case

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = next((ROOT / "samples").glob("enwiki*.bz2"))
NUM_COPIES = 12
SEQ_LEN = 128
VOCAB_SIZE = 8192


def _headrace(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flows.commands", *arguments]


def make_dump(path: Path, num_copies: int) -> None:
    """Several copies of the sample's pages in one bzip2 dump, with ids and titles of their own."""
    text = bz2.decompress(SAMPLE.read_bytes()).decode()
    begin, end = text.index("<page>"), text.rindex("</page>") + len("</page>")
    pages = text[begin:end]
    copies = [
        pages.replace("<id>", f"<id>{n + 1}").replace("</title>", f" {n + 1}</title>")
        for n in range(num_copies)
    ]
    path.write_bytes(bz2.compress((text[:begin] + "\n".join(copies) + text[end:]).encode()))


def _prepare_dump(given: Path) -> None:
    make_dump(given / "dump.xml.bz2", NUM_COPIES)


def extract_command(dump: Path, out: Path, *flags: str, workers: int = 0) -> list[str]:
    """Our command from a dump to text."""
    home = str(out.with_name(f"{out.name}-home"))
    chosen = str(workers or os.cpu_count() or 1)
    return _headrace(
        "extract", str(dump), str(out), "--home", home, "--workers", chosen, "--quiet", *flags
    )


def _extract_commands(given: Path, out: Path, workers: int) -> Mapping[str, Sequence[str]]:
    dump = given / "dump.xml.bz2"
    peer = [sys.executable, "-m", "wikiextractor.WikiExtractor", str(dump), "--json"]
    peer += ["--processes", str(workers), "-q", "-o", str(out)]
    return {"ours": extract_command(dump, out, workers=workers), "peer": peer}


def _extract_equal(ours: Path, peer: Path) -> str:
    import pyarrow.parquet as pq

    texts = {}
    for path in sorted(ours.glob("articles-*.parquet")):
        table = pq.read_table(path, columns=["id", "text"])
        texts |= dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    theirs = {}
    for path in sorted(peer.rglob("wiki_*")):
        for line in path.read_text().splitlines():
            article = json.loads(line)
            theirs[int(article["id"])] = article["text"]
    word = "equal" if texts.keys() == theirs.keys() else "NOT equal"
    ratio = sum(map(len, texts.values())) / sum(map(len, theirs.values()))
    return f"{word} ids of {len(theirs)} articles; {ratio:.2f}x the characters"


def _make_splits(given: Path) -> None:
    """Splits and a tokenizer from the sample, made by our own commands."""
    import subprocess

    home = ["--home", str(given / "home"), "--quiet"]
    steps = [
        ("extract", str(SAMPLE), str(given / "articles")),
        ("split-sentences", str(given / "articles"), str(given / "sentences")),
        ("split", str(given / "sentences"), str(given / "splits")),
        ("train-tokenizer", str(given / "splits"), str(given / "tokenizer"),
         "--set", f"vocab_size={VOCAB_SIZE}"),
    ]  # fmt: skip
    for step in steps:
        subprocess.run(_headrace(*step, *home), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


PEER_ENCODE = """
import sys, pathlib, datasets, transformers
given, out, seq_len = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
tokenizer = transformers.AutoTokenizer.from_pretrained(given / "tokenizer")
files = {s: [str(p) for p in sorted((given / "splits" / s).glob("*.parquet"))]
         for s in ("train", "valid", "test")}
data = datasets.load_dataset("parquet", data_files=files, cache_dir=out + "-cache")
def encode(rows):
    ids = tokenizer(rows["text"])["input_ids"]
    return {"input_ids": [i + [tokenizer.eos_token_id] for i in ids]}
def group(rows):
    joined = [token for ids in rows["input_ids"] for token in ids]
    end = len(joined) // seq_len * seq_len
    return {"input_ids": [joined[i:i + seq_len] for i in range(0, end, seq_len)]}
data = data.map(encode, batched=True, remove_columns=data["train"].column_names)
data.map(group, batched=True).save_to_disk(out)
"""


def _encode_commands(given: Path, out: Path) -> Mapping[str, Sequence[str]]:
    home = str(out.with_name(f"{out.name}-home"))
    ours = _headrace(
        "encode", str(given / "splits"), str(given / "tokenizer"), str(out),
        "--set", f"seq_len={SEQ_LEN}", "--home", home, "--quiet", "--workers", "1",
    )  # fmt: skip
    peer = [sys.executable, "-c", PEER_ENCODE, str(given), str(out), str(SEQ_LEN)]
    return {"ours": ours, "peer": peer}


def _encode_equal(ours: Path, peer: Path) -> str:
    import datasets

    a, b = datasets.load_from_disk(str(ours)), datasets.load_from_disk(str(peer))
    same = all(a[split]["input_ids"][:] == b[split]["input_ids"][:] for split in ("train", "valid"))
    return f"{'equal' if same else 'NOT equal'}: {a['train'].num_rows} train blocks, id for id"


def _text_megabytes(given: Path) -> float:
    import pyarrow.parquet as pq

    paths = sorted((given / "splits").rglob("*.parquet"))
    return sum(len(t.encode()) for p in paths for t in pq.read_table(p)["text"].to_pylist()) / 1e6


CASES = (
    *(
        Case(
            name=name,
            work=f"dump (.xml.bz2, sample x{NUM_COPIES}) to plain text, {how}, templates on",
            peer="wikiextractor 3.1 run directly",
            prepare=_prepare_dump,
            commands=partial(_extract_commands, workers=workers),
            equal=_extract_equal,
            megabytes=lambda given: (
                len(bz2.decompress((given / "dump.xml.bz2").read_bytes())) / 1e6
            ),
        )
        for name, how, workers in (
            ("extract", "all cores", os.cpu_count() or 1),
            ("extract1", "one worker", 1),
        )
    ),
    Case(
        name="encode",
        work=f"documents to blocks of {SEQ_LEN} tokens, one worker",
        peer="datasets: tokenise map, then concatenate-and-cut map, save_to_disk",
        prepare=_make_splits,
        commands=_encode_commands,
        equal=_encode_equal,
        megabytes=_text_megabytes,
    ),
)


def clean(directory: Path) -> None:
    """Remove what a case left."""
    shutil.rmtree(directory, ignore_errors=True)
