"""Difference imaging: template, subtraction, detections, and what they have in common over time."""
