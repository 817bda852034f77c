"""`python -m iid_jax.main [VERB] ...`: finds the verb's module and hands over; train by default."""

import importlib
import os
import select
import sys

from iid_jax import memory
from iid_jax.errors import UsageError, UserError, machine_fault, nearest

VERBS = {
    "train": "train a detector, evaluate it and write its report (the default)",
    "prepare": "make or import a data set",
    "evaluate": "score a detector on prepared data sets",
    "predict": "score pictures and videos, and show where artifacts are",
    "convert": "make of a published detector's PyTorch weights what is read here",
    "export": "make of a detector what others can use: Orbax, safetensors, StableHLO, a card",
    "analyze": "measure whether detectors leak identities",
    "show": "draw what the trainer is fed, or what a detector says of held-out pictures",
    "reproduce": "make a table of the paper, or of the claim itself, from one command",
}
USAGE = "usage: python -m iid_jax.main [VERB] [--flags]   (VERB --help tells a verb's flags)"


def main(argv: list[str] | None = None) -> int:
    """Runs a verb and returns the exit code: 0 done, 2 usage, 3 some inputs failed, 4 bad data.

    141, as of other programs, where nobody reads on what it prints (`| head`).
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    memory.keep_freed()
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"iid_jax: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return 141
        fault = machine_fault(error)
        if fault is None:
            raise
        print(f"iid_jax: {fault}", file=sys.stderr)
        return fault.exit_code
    except KeyboardInterrupt:
        print("iid_jax: interrupted", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    if arguments[:1] in (["--help"], ["-h"], []):
        print(USAGE, *(f"  {verb:10} {what}" for verb, what in VERBS.items()), sep="\n")
        return 0 if arguments else 2
    verb = "train" if arguments[0].startswith("-") else arguments.pop(0)
    if verb not in VERBS:
        raise UsageError(f"unknown verb {verb!r}{nearest(verb, VERBS)}")
    return importlib.import_module(f"iid_jax.{verb}").main(arguments)


def _reader_is_gone() -> bool:
    """Whether it is stdout's pipe that broke; what is still to be written to it is dropped then."""
    output, poll = sys.stdout.fileno(), select.poll()
    poll.register(output, 0)
    gone = bool(poll.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


if __name__ == "__main__":
    sys.exit(main())
