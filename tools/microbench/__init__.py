"""Micro-benchmarks of this revision, and of another one beside it."""
