"""Training of BrainTumorSeg's models: data, recipes, training, evaluation, export. Imports the engine alone."""
