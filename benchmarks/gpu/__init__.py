"""``python -m benchmarks gpu``: on one GPU and in one call, what is right and how fast it is."""
