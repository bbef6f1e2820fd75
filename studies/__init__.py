"""One file a claim of the chapter; `crosscheck.claims.register` is the only door to them."""
