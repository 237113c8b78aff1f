"""The doctor: what an environment has, what it lacks, and the commands that mend it.

``tresnet-mm doctor`` and ``python -m tresnet_mm.doctor`` work where nothing is installed but the
standard library: no module of this folder imports anything else, `probe` does in a process of its
own, and ``tresnet_mm/__init__.py`` imports nothing where the doctor runs.
"""
