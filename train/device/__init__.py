"""A patch's lead I made of clean lead I: for training in batches, for measurement as a stream of codes."""
