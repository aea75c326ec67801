"""The shipped network through the converters that a user would otherwise take, beside ours, in one run."""
