"""Measurements: latency, throughput, accuracy; every figure in the documents comes from here."""
