"""How often is `crosscheck diagnose` wrong? Random training programs, healthy and with a fault."""
