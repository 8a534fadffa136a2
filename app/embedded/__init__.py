"""Servers that run inside our own process tree, so that one command is enough on a fresh machine."""
