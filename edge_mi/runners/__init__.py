"""Runners: what executes a bundle's graphs on this machine."""
