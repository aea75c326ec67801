"""What else was tried on the lead-I network, one change at a time, each measured in pairs against the recipe."""
