"""The commands of ``braintumorseg-train``, one per file: grammar, call, print."""
