"""Recordings of a live stream: files that other tools read too, and that a crash at any moment leaves whole."""
