from voleryidl.core.v1 import identifier_pb2 as _identifier_pb2
from voleryidl.core.v1 import interface_pb2 as _interface_pb2
from voleryidl.core.v1 import task_pb2 as _task_pb2
from voleryidl.core.v1 import workflow_pb2 as _workflow_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WorkflowClosure(_message.Message):
    __slots__ = ("primary", "workflows", "tasks", "launch_plans")
    PRIMARY_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_PLANS_FIELD_NUMBER: _ClassVar[int]
    primary: _identifier_pb2.Identifier
    workflows: _containers.RepeatedCompositeFieldContainer[CompiledWorkflow]
    tasks: _containers.RepeatedCompositeFieldContainer[_task_pb2.TaskTemplate]
    launch_plans: _containers.RepeatedCompositeFieldContainer[LaunchPlanInterface]
    def __init__(self, primary: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ..., workflows: _Optional[_Iterable[_Union[CompiledWorkflow, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[_task_pb2.TaskTemplate, _Mapping]]] = ..., launch_plans: _Optional[_Iterable[_Union[LaunchPlanInterface, _Mapping]]] = ...) -> None: ...

class CompiledWorkflow(_message.Message):
    __slots__ = ("template", "connections")
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    template: _workflow_pb2.WorkflowTemplate
    connections: _containers.RepeatedCompositeFieldContainer[NodeConnections]
    def __init__(self, template: _Optional[_Union[_workflow_pb2.WorkflowTemplate, _Mapping]] = ..., connections: _Optional[_Iterable[_Union[NodeConnections, _Mapping]]] = ...) -> None: ...

class NodeConnections(_message.Message):
    __slots__ = ("node_id", "upstream_node_ids", "cast_inputs")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    CAST_INPUTS_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    upstream_node_ids: _containers.RepeatedScalarFieldContainer[str]
    cast_inputs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[str] = ..., upstream_node_ids: _Optional[_Iterable[str]] = ..., cast_inputs: _Optional[_Iterable[str]] = ...) -> None: ...

class LaunchPlanInterface(_message.Message):
    __slots__ = ("id", "interface")
    ID_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    id: _identifier_pb2.Identifier
    interface: _interface_pb2.TypedInterface
    def __init__(self, id: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ..., interface: _Optional[_Union[_interface_pb2.TypedInterface, _Mapping]] = ...) -> None: ...
