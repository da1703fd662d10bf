"""`cerro up`: starts the platform's processes, watches them, restarts what dies, stops them all."""
