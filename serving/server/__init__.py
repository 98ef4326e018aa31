"""A server for one machine, with the REST and gRPC interface of TF Serving.

It serves any SavedModel with batched signatures, and knows nothing else of the model. All of a
request but TensorFlow's own work happens on one asyncio loop, so that the state needs no locks:

    rest.py, grpc_service.py   the two interfaces, over `core.py`
    json_codec.py, proto_codec.py   requests to arrays, and back
    batching.py                merges requests, splits answers
    versions.py, model.py      which version answers; a SavedModel in a session
    intake.py, protocol.py     what a client may send, and how slowly
    app.py                     starts it all and stops it; routes.py: what lies under which path
"""
