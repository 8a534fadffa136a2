"""An example organisation: a year of it, generated from a seed, played through the service's own doors over HTTP.

It knows the doors, as any client of the API does, and nothing of what is behind them.
"""
