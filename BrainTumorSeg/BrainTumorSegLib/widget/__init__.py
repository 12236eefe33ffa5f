"""What is shown and clicked: Qt panels over ``jobs`` and ``scene``; no torch, no algorithm."""
