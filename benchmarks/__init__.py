"""Measurements, always side by side: ``python -m benchmarks SUBJECT``, one module a subject.

``results`` holds what was measured, ``experiments`` the trainings behind the tables of the docs.
Nothing of the package or its tools needs this folder, and the wheel does not carry it.
"""
