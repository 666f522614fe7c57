"""`make bench`: the same stream over HTTP into three systems with the same effects; docs/performance.md says how."""
