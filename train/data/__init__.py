"""Public ECG collections in their published layouts, and the pass that makes a window store of them."""
