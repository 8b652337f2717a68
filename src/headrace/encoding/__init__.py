"""From documents to token blocks: tokenizers, packing, Arrow datasets, batches."""
