"""How the tests talk with a client: a line of JSON asks, a line of JSON answers, until the input ends."""

import json
import sys
import traceback


def converse(actions):
    """Does what is asked for, by name. An exception that an action lets through is a broken test."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"is": actions[request["do"]](**request["with"])}
        except Exception:
            answer = {"broke": traceback.format_exc()}
        print(json.dumps(answer), flush=True)
