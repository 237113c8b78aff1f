"""Mutants that behave as the original does, and why: (module, what was there, what took its place).
"""

EXPLAINED: dict[tuple[str, str, str], str] = {}
