"""From a study to its result: preprocessing, slice scores, the network's run, refinement."""
