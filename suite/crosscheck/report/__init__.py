"""From verdicts, tables and figures to pages. Nothing here trains."""
