"""Commands that the hub adds to `cerro`."""
