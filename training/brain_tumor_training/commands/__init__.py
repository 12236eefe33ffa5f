"""The commands of ``braintumorseg-train``, one a file: grammar, call, print."""
