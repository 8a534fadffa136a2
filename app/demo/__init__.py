"""An example organisation: a year of it, generated from a seed, played through the service's own doors over HTTP.

It knows the doors (`docs/openapi`) and nothing of what is behind them.
"""
