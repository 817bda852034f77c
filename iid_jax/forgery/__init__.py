"""Making fakes: masks, blending, the multi-scale facial swap, and the manipulations."""
