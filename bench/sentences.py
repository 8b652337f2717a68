"""Sentence splitting against NLTK's punkt_tab, end to end: Parquet in, Parquet out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cases import ROOT, SAMPLE
from bench.measure import Case

NUM_COPIES = 64
NUM_FILES = 4

PEER = """
import pathlib, sys
import pyarrow as pa, pyarrow.parquet as pq
from headrace.corpus.punkt import sentence_tokenizer
given, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
out.mkdir(parents=True)
tokenize = sentence_tokenizer("english")  # NLTK's own class, with punkt_tab's English tables
for path in sorted(given.glob("*.parquet")):
    with pq.ParquetFile(path) as file:
        tables = []
        for batch in file.iter_batches(128):
            texts = ["\\n".join(s for line in text.split("\\n") for s in tokenize(line))
                     for text in batch["text"].to_pylist()]
            table = pa.Table.from_batches([batch])
            index = table.schema.get_field_index("text")
            tables.append(table.set_column(index, "text", pa.array(texts)))
    pq.write_table(pa.concat_tables(tables), out / path.name, compression="zstd",
                   compression_level=3, use_dictionary=False, row_group_size=1024)
"""


def _make_texts(given: Path) -> None:
    """Several copies of the sample's articles, as our own command extracts them, in Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    articles = given / "articles"
    command = [sys.executable, "-m", "flows.commands", "extract", str(SAMPLE), str(articles)]
    command += ["--home", str(given / "home"), "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    table = pa.concat_tables(
        [pq.read_table(p) for p in sorted(articles.glob("articles-*.parquet"))]
    )
    (given / "texts").mkdir()
    for number in range(NUM_FILES):
        copies = pa.concat_tables([table] * (NUM_COPIES // NUM_FILES))
        pq.write_table(copies, given / "texts" / f"{number}.parquet", row_group_size=1024)


def _commands(given: Path, out: Path) -> Mapping[str, Sequence[str]]:
    texts, home = str(given / "texts"), str(out.with_name(f"{out.name}-home"))
    ours = [sys.executable, "-m", "flows.commands", "split-sentences", texts, str(out)]
    ours += ["--set", "language=en", "--home", home, "--quiet", "--workers", "1"]
    return {"ours": ours, "peer": [sys.executable, "-c", PEER, texts, str(out)]}


def _texts(directory: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [
        text
        for path in sorted(directory.glob("*.parquet"))
        for text in pq.read_table(path, columns=["text"])["text"].to_pylist()
    ]


def _equal(ours: Path, peer: Path) -> str:
    a, b = _texts(ours), _texts(peer)
    same = len(a) == len(b) and all(
        "".join(x.split()) == "".join(y.split()) for x, y in zip(a, b, strict=True)
    )
    numbers = [sum(len(list(filter(None, x.split("\n")))) for x in texts) for texts in (a, b)]
    word = "equal" if same else "NOT equal"
    return f"{word}: {len(a)} documents, all text; {numbers[0]} and {numbers[1]} sentences"


def _megabytes(given: Path) -> float:
    return sum(len(text.encode()) for text in _texts(given / "texts")) / 1e6


CASES = (
    Case(
        name="sentences",
        work=f"sentences of {NUM_COPIES} times the English sample, one worker, Parquet in and out",
        peer="NLTK's sentence tokenizer with punkt_tab, in a loop over pyarrow's batches",
        prepare=_make_texts,
        commands=_commands,
        equal=_equal,
        megabytes=_megabytes,
    ),
)
