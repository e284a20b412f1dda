"""Every figure as a ratio to a named baseline measured in the same run: python -m benchmarks."""
