"""Patches that do not exist: records served as Bluetooth patches, with faults on demand."""
