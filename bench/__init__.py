"""Side-by-side measurements against named peers; `python -m bench.run`."""
