"""The scene: MRML nodes in, MRML nodes out. No torch, no Qt, no algorithm; Slicer's camelCase."""
