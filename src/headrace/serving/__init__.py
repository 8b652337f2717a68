"""A real Triton server, its Python backend for FasterTransformer exports, and a client."""
