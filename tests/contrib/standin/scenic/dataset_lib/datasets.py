"""The registry of data sets."""

import functools

_KNOWN = {}


def add_dataset(name, *args, **kwargs):
    def register(builder):
        if name in _KNOWN:
            raise KeyError(name)
        _KNOWN[name] = functools.partial(builder, *args, **kwargs)
        return builder

    return register


def get_dataset(dataset_name):
    return _KNOWN[dataset_name]
