"""The simulated survey: a sky with known contents, and raw images of it."""
