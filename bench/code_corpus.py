"""The keyword filter against the course's loop over `datasets` in streaming mode.

The corpus is made of the Python files of packages that are installed beside Headrace, in the
columns of codeparrot; few of them name one of the course's keywords (as few as in codeparrot:
3.26 %), since the packages that do are left out.

The cases run whole commands, imports of both sides included (about 0.8 s of ours, 2.5 s of the
peer's). `python -m bench.code_corpus` times the work alone, both sides warm in one process.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from bench.measure import Case

PACKAGES = ("transformers", "torch", "sympy", "moto", "numpy", "sqlalchemy", "networkx")
MAX_TEXT_BYTES = 160 << 20
COURSE_KEYWORDS = ("pandas", "sklearn", "matplotlib", "seaborn")
_OTHER_KEYWORDS = """
    xgboost lightgbm catboost statsmodels plotly bokeh altair geopandas shapely fiona rasterio
    cartopy folium pyproj xarray netCDF4 dask vaex modin koalas pyspark fastparquet feather
    tables.open h5netcdf zarr intake prophet pmdarima tsfresh sktime tslearn darts gluonts
    imblearn skopt hyperopt optuna featuretools tpot auto_ml pycaret yellowbrick scikitplot
    eli5 lime.lime shap.Explainer mlxtend umap.UMAP hdbscan gensim spacy.load textblob
    wordcloud pyLDAvis tweepy praw.Reddit scrapy BeautifulSoup selenium mechanize pdfminer
    PyPDF2 openpyxl xlsxwriter xlrd gspread pytesseract imageio skimage SimpleITK nibabel
    pydicom albumentations torchvision fastai keras.layers theano lasagne caffe mxnet.gluon
    chainer paddle.fluid deeplake gym.make stable_baselines pyro.infer pymc3 pystan emcee
    arviz lifelines pingouin patsy.dmatrices linearmodels quantlib zipline backtrader ta.trend
""".split()  # noqa: SIM905
KEYWORDS_100 = (*COURSE_KEYWORDS, *_OTHER_KEYWORDS)[:100]

COURSE_LOOP = """
import json, sys
from datasets import load_dataset
source, out, keywords = sys.argv[1], sys.argv[2], sys.argv[3:]
data = load_dataset("json", data_files=source, split="train", streaming=True)
total, kept = 0, {}
for sample in data:
    total += 1
    if any(keyword in sample["content"] for keyword in keywords):
        for name, value in sample.items():
            kept.setdefault(name, []).append(value)
print(f"{len(kept['content']) / total:.2%} of data after filtering.")
with open(out, "w") as file:
    json.dump(kept, file)
"""
"""The course's `filter_streaming_dataset`, and its result written to a file."""


def iter_files() -> Iterator[dict[str, str]]:
    """Python files of the installed packages as rows of codeparrot, 160 MiB at most."""
    num_bytes = 0
    for package in PACKAGES:
        distribution = metadata.distribution(package)
        licence = str(distribution.metadata.json.get("license_expression") or "unknown")
        for file in sorted(distribution.files or (), key=str):
            path = Path(str(file.locate()))
            if path.suffix != ".py" or not path.is_file():
                continue
            content = path.read_bytes()
            num_bytes += len(content)
            if num_bytes > MAX_TEXT_BYTES:
                return
            yield {
                "repo_name": f"{package}@{distribution.version}",
                "path": str(file),
                "copies": "1",
                "size": str(len(content)),
                "content": content.decode(errors="replace"),
                "license": licence,
            }


def _make_corpus(given: Path) -> None:
    with gzip.open(given / "code.jsonl.gz", "wt", compresslevel=6, encoding="utf-8") as file:
        for row in iter_files():
            file.write(json.dumps(row) + "\n")


def _text_megabytes(given: Path) -> float:
    with gzip.open(given / "code.jsonl.gz", "rb") as file:
        return sum(len(line) for line in file) / 1e6


def _commands(keywords: Sequence[str], given: Path, out: Path) -> Mapping[str, Sequence[str]]:
    source = str(given / "code.jsonl.gz")
    ours = [sys.executable, "-m", "flows.commands", "filter", source, str(out), "--quiet"]
    ours += ["--home", str(out.with_name(f"{out.name}-home")), "--workers", "1"]
    for keyword in keywords:
        ours += ["--keyword", keyword]
    peer = [sys.executable, "-c", COURSE_LOOP, source, str(out), *keywords]
    return {"ours": ours, "peer": peer}


def _commands_4(given: Path, out: Path) -> Mapping[str, Sequence[str]]:
    return _commands(COURSE_KEYWORDS, given, out)


def _commands_100(given: Path, out: Path) -> Mapping[str, Sequence[str]]:
    return _commands(KEYWORDS_100, given, out)


def _equal(ours: Path, peer: Path) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [pq.read_table(path) for path in sorted(ours.rglob("documents-*.parquet"))]
    found = pa.concat_tables(tables)
    kept = json.loads(peer.read_text())
    same = found.to_pydict() == kept
    return f"{'equal' if same else 'NOT equal'}: {found.num_rows} files kept, all columns"


CASES = tuple(
    Case(
        name=f"filter{len(keywords)}",
        work=f"code with one of {len(keywords)} keywords out of json.gz, one worker",
        peer="the course's loop over datasets in streaming mode",
        prepare=_make_corpus,
        commands=commands,
        equal=_equal,
        megabytes=_text_megabytes,
    )
    for keywords, commands in ((COURSE_KEYWORDS, _commands_4), (KEYWORDS_100, _commands_100))
)


def _stage_seconds(source: Path, keywords: Sequence[str], scratch: Path) -> float:
    """CPU seconds of the stage: sha256 of the source, Parquet, statistics and manifest included."""
    from headrace.artifacts import Runtime, Store
    from headrace.artifacts.sources import open_source
    from headrace.corpus.keyword_filter import KEYWORD_FILTER, KeywordFilterConfig

    store = Store(Runtime(home=scratch))
    start = time.process_time()
    inputs = {"source": open_source(store, source).artifact}
    store.open_or_build(KEYWORD_FILTER, KeywordFilterConfig(keywords=tuple(keywords)), inputs)
    return time.process_time() - start


def _loop_seconds(source: Path, keywords: Sequence[str]) -> float:
    """CPU seconds of the course's loop, in memory only."""
    from datasets import load_dataset

    start = time.process_time()
    data = load_dataset("json", data_files=str(source), split="train", streaming=True)
    kept = [sample for sample in data if any(word in sample["content"] for word in keywords)]
    assert kept
    return time.process_time() - start


def main() -> None:
    """Print the warm figures: the best of three runs, in turn."""
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        folder = Path(name)
        _make_corpus(folder)
        source = folder / "code.jsonl.gz"
        for keywords in (COURSE_KEYWORDS, KEYWORDS_100):
            ours, peer = [], []
            for number in range(4):
                scratch = folder / f"home-{len(keywords)}-{number}"
                ours.append(_stage_seconds(source, keywords, scratch))
                peer.append(_loop_seconds(source, keywords))
            one, other = min(ours[1:]), min(peer[1:])
            print(
                f"{len(keywords)} keywords: {one:.2f} cpu s, the loop {other:.2f}: "
                f"{other / one:.1f}x"
            )


if __name__ == "__main__":
    main()
