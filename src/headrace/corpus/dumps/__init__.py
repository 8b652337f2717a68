"""Wikimedia dumps: their bytes, their XML and the pages in them."""
