"""What the tables of the docs come from: ``python -m benchmarks.experiments.NAME``."""
