"""One module per channel kind; `ingest.adapters.registry` lists them."""
