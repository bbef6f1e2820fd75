"""`make bench`: what `Replicates` costs, beside what one would otherwise do, and beside the limit."""
