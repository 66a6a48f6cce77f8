"""Times onnxruntime (CPU), one run at a time, on demand.

Reads commands from standard input, answers each with a line of JSON: {"seconds": s}, {"error": text}.
  run PATH 16        one answer of a network for a batch of 16 images
With `first PATH` as arguments: loads a network, gives one answer for one image, and ends.
Needs onnxruntime and numpy.
"""
import json
import os
import sys
import time

import numpy
import onnxruntime

sessions, inputs = {}, {}


def session(path):
    if path not in sessions:
        sessions.clear()
        inputs.clear()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("PEER_THREADS", "2"))
        options.log_severity_level = 3
        sessions[path] = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return sessions[path]


def work(command, path, batch):
    network, batch = session(path), int(batch)
    port = network.get_inputs()[0]
    if batch not in inputs:
        random = numpy.random.default_rng(0)
        inputs[batch] = random.standard_normal([batch] + port.shape[1:]).astype("float32")
        network.run(None, {port.name: inputs[batch]})
    return lambda: network.run(None, {port.name: inputs[batch]})


if sys.argv[1:2] == ["first"]:
    work("run", sys.argv[2], 1)
    sys.exit()
for line in sys.stdin:
    try:
        body = work(*line.split())
        begin = time.perf_counter()
        body()
        answer = {"seconds": time.perf_counter() - begin}
    except Exception as error:  # the benchmark reports it and goes on without the peer
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
