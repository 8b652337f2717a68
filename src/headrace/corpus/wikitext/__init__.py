"""Wikitext to the text a reader sees: template expansion first, then the mark-up."""
