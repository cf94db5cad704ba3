"""Names for gRPC's classes, which are generic for the type checker only."""

from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

if TYPE_CHECKING:
    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    ServerInterceptor = grpc.aio.ServerInterceptor[Any, Any]
    StreamStreamCall = grpc.aio.StreamStreamCall[Any, Any]
    UnaryUnaryInterceptor = grpc.aio.UnaryUnaryClientInterceptor[Any, Any]
    UnaryStreamInterceptor = grpc.aio.UnaryStreamClientInterceptor[Any, Any]
    StreamUnaryInterceptor = grpc.aio.StreamUnaryClientInterceptor[Any, Any]
    StreamStreamInterceptor = grpc.aio.StreamStreamClientInterceptor[Any, Any]
else:
    Context = grpc.aio.ServicerContext
    Handler = grpc.RpcMethodHandler
    ServerInterceptor = grpc.aio.ServerInterceptor
    StreamStreamCall = grpc.aio.StreamStreamCall
    UnaryUnaryInterceptor = grpc.aio.UnaryUnaryClientInterceptor
    UnaryStreamInterceptor = grpc.aio.UnaryStreamClientInterceptor
    StreamUnaryInterceptor = grpc.aio.StreamUnaryClientInterceptor
    StreamStreamInterceptor = grpc.aio.StreamStreamClientInterceptor
