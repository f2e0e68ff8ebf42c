"""`seldon_client.py ADDRESS`, run where seldon-core is installed: a prediction, and feedback of 0, over gRPC.

Prints one JSON object: the answer, and the status of feedback that says no way."""

import json
import sys

import grpc
from google.protobuf import json_format
from seldon_core.proto import prediction_pb2 as pb
from seldon_core.proto.prediction_pb2_grpc import SeldonStub

with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = SeldonStub(channel)
    row = pb.SeldonMessage(data=pb.DefaultData(tensor=pb.Tensor(shape=[1, 2], values=[1.0, 2.0])))
    answer, call = stub.Predict.with_call(row, timeout=30)
    for _ in range(60):
        feedback = pb.Feedback(response=answer, reward=0.0)
        stub.SendFeedback(feedback, timeout=30)
    later = [stub.Predict(row, timeout=30).meta.routing["router"] for _ in range(30)]
    try:
        stub.SendFeedback(pb.Feedback(reward=1.0), timeout=30)
        refused = "OK"
    except grpc.RpcError as error:
        refused = error.code().name
    print(
        json.dumps(
            {
                "answer": json_format.MessageToDict(answer),
                "puid": dict(call.initial_metadata())["seldon-puid"],
                "later": later,
                "refused": refused,
            }
        )
    )
