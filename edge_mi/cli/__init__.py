"""Command line: one file a verb, loaded on use."""
