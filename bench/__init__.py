"""Benchmarks: `python -m bench NAME`, ours and the yardsticks interleaved in one run, equal answers asserted first."""
