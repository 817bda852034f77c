"""iid_jax: a detector of manipulated faces that looks at artifacts and not at identities."""

__version__ = "0.1.0"
