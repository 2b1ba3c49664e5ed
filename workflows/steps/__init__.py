"""The nodes of the graph: state in, state delta out."""
