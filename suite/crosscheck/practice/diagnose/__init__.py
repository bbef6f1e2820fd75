"""Sick training programs to diagnose by their logs, and healthy ones among them."""
