"""From a request to saved rows and verdicts: plan, keys, store, workers, conclusion."""
