"""Telling teams what has changed: transitions become notices in the outbox, and notices are sent from there."""
