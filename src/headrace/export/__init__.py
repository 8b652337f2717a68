"""Checkpoints out of Headrace: FasterTransformer files, their proof, the Triton repository."""
