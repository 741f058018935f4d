"""The Open Inference Protocol, version 2: tensors in, tensors out, for HTTP and gRPC alike.

``messages`` defines requests and responses, ``tensors`` reads and writes their cells. ``samples`` makes a table of the
inputs, ``results`` makes tensors of predictions, and ``model`` connects them with the predictor. ``json_messages`` and
``handlers`` are HTTP; gRPC lies in ``drum/grpc``. ``docs/serve/v2.md`` describes what clients see.
"""
