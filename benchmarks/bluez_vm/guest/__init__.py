"""What runs in the virtual machine: BlueZ, the emulator in a process of its own, and the scenarios."""
