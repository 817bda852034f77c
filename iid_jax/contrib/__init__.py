"""The detector inside other people's frameworks; nothing in the core imports this."""
