"""Kernels in Triton; importing one needs the optional package triton."""
