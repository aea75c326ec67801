"""The checkpoint and the bundle that ship with the package."""
