"""The Bluetooth code on a real BlueZ, in a virtual machine: `make ble-vm`."""
