"""From a raw dump to documents: pages, articles, sentences, splits."""
