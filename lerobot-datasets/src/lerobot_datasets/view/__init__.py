"""`lr dataset view`: a page on this machine that plays the episodes of a dataset. No framework, no account, no network."""
