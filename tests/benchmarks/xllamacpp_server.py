"""llama.cpp's server from the wheel of xllamacpp, which has no command of its own, under the options of llama-server.

    LLAMA_API_KEY=KEY python tests/benchmarks/xllamacpp_server.py --model FILE --host 127.0.0.1 --port 8080 --alias NAME

It runs in an environment that has xllamacpp, for `engine_speed.py`.
"""

import argparse
import os
import signal

import xllamacpp


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--model", "--host", "--alias"):
        arguments.add_argument(name, required=True)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--jinja", action="store_true")
    arguments.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments.add_argument("--parallel", type=int, default=4)
    arguments.add_argument("--ctx-size", type=int, default=0)
    arguments.add_argument("--cache-type", default="f16", help="of keys and values")
    options = arguments.parse_args()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = options.model
    parameters.hostnames, parameters.port = [options.host], options.port
    parameters.model_alias = {options.alias}
    parameters.api_keys = [os.environ["LLAMA_API_KEY"]]
    parameters.use_jinja = options.jinja
    parameters.n_parallel, parameters.n_ctx = options.parallel, options.ctx_size
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = options.threads
    cache = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.cache_type.upper()}")
    parameters.cache_type_k = parameters.cache_type_v = cache
    server = xllamacpp.Server(parameters)
    print("listening at", server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
