"""Model architectures and their sizes."""
