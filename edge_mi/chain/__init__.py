"""Signal chain: millivolts at the sensor's rate to the model's input, exact on its grid (contract C1)."""
