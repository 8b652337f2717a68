"""Measures of a trained model: held-out perplexity and sample texts."""
