"""A cohort: which files make which studies, what each came to, and the run over all of them."""
