"""The models of this user: the index, the store and its downloads, bundles, and a model ready to run."""
