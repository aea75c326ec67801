"""Bridge: bytes from a Bluetooth patch to chunks of lead I, and an emulated patch."""
