"""Wikipedia dump -> GPT, in the old Megatron-LM way, up to a Triton server's answers.

headrace run pretrain_wikipedia --set dump=enwiki-latest-pages-articles.xml.bz2

dump -> pages -> articles [-> exclusion] -> sentences -> splits -> tokenizer -> blocks
     -> model -> evaluation, samples
     -> FasterTransformer export -> parity gate -> Triton repository -> answers
"""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows.pipelines import PretrainWikipediaConfig
from tasks import corpus, encoding, export, serving, training, watching
from tasks.runs import PIPELINE_FLOW


@flow(name="pretrain_wikipedia", **PIPELINE_FLOW)
def pretrain_wikipedia(config: PretrainWikipediaConfig) -> None:
    """Train a language model on a Wikipedia dump, prove its export and ask it through Triton."""
    dump = corpus.source(config.dump)
    pages = corpus.pages(dump, config.pages)
    articles = corpus.articles(pages, config.articles)
    if config.excluded_texts:
        held_out = corpus.held_out_source(config.excluded_texts)
        articles = corpus.exclusion(articles, held_out, config.exclusion)
    sentences = corpus.sentences(articles, config.sentences)
    splits = corpus.splits(sentences, config.splits)
    tokenizer = choose_tokenizer(splits, config)
    blocks = encoding.blocks(splits, tokenizer, config.blocks)

    model = training.model(blocks, tokenizer, config.training)
    training.evaluation(model, blocks, config.evaluation)
    training.samples(model, config.samples)

    ft_export = export.ft_export(model, config.export)
    parity = export.parity(model, ft_export, blocks, config.parity)
    repository = export.triton_repository(ft_export, parity, config.repository)
    if config.serve:
        serving.answers(repository, model, blocks, config.answers)
    watching.drain()


def choose_tokenizer(splits: Any, config: PretrainWikipediaConfig) -> Any:
    """The given tokenizer, else one trained on the train split."""
    if config.tokenizer_path:
        return encoding.given_tokenizer(encoding.tokenizer_source(config.tokenizer_path))
    return encoding.trained_tokenizer(splits, config.tokenizer)


if __name__ == "__main__":
    import os
    import sys

    # A fresh interpreter: Prefect reads at its import the settings that the command makes first.
    command = [sys.executable, "-m", "flows.commands", "run", "pretrain_wikipedia"]
    os.execv(sys.executable, [*command, *sys.argv[1:]])
