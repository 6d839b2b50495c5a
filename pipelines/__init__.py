"""Projects and runs: config, items, artifact store, stages, flows, review store and report."""
