"""Pipelines as Prefect flows, and the command that starts them."""
