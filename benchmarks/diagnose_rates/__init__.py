"""How often `crosscheck diagnose` is wrong: false alarms, misses, and programs of other people."""
