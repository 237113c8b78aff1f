"""The parts of ``tools/benchmark.py``: one module a subject, each with ``run(args)``."""
