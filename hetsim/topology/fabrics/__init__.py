"""One file per fabric kind; each registers a spec class whose ``build`` draws the network."""
