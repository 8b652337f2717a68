"""Thin Prefect tasks: one headrace stage each."""
