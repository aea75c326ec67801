"""The protocol: from a configuration to a table of methods, with intervals and plots."""
