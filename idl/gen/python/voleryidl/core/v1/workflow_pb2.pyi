import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from voleryidl.core.v1 import identifier_pb2 as _identifier_pb2
from voleryidl.core.v1 import interface_pb2 as _interface_pb2
from voleryidl.core.v1 import literals_pb2 as _literals_pb2
from voleryidl.core.v1 import task_pb2 as _task_pb2
from voleryidl.core.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FailurePolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_POLICY_UNSPECIFIED: _ClassVar[FailurePolicy]
    FAILURE_POLICY_FAIL_IMMEDIATELY: _ClassVar[FailurePolicy]
    FAILURE_POLICY_FINISH_WHAT_CAN_RUN: _ClassVar[FailurePolicy]

class ComparisonOperator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMPARISON_OPERATOR_UNSPECIFIED: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_EQUAL: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_NOT_EQUAL: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_LESS: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_LESS_OR_EQUAL: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_GREATER: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_GREATER_OR_EQUAL: _ClassVar[ComparisonOperator]
    COMPARISON_OPERATOR_IN: _ClassVar[ComparisonOperator]

class LogicalOperator(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOGICAL_OPERATOR_UNSPECIFIED: _ClassVar[LogicalOperator]
    LOGICAL_OPERATOR_AND: _ClassVar[LogicalOperator]
    LOGICAL_OPERATOR_OR: _ClassVar[LogicalOperator]
FAILURE_POLICY_UNSPECIFIED: FailurePolicy
FAILURE_POLICY_FAIL_IMMEDIATELY: FailurePolicy
FAILURE_POLICY_FINISH_WHAT_CAN_RUN: FailurePolicy
COMPARISON_OPERATOR_UNSPECIFIED: ComparisonOperator
COMPARISON_OPERATOR_EQUAL: ComparisonOperator
COMPARISON_OPERATOR_NOT_EQUAL: ComparisonOperator
COMPARISON_OPERATOR_LESS: ComparisonOperator
COMPARISON_OPERATOR_LESS_OR_EQUAL: ComparisonOperator
COMPARISON_OPERATOR_GREATER: ComparisonOperator
COMPARISON_OPERATOR_GREATER_OR_EQUAL: ComparisonOperator
COMPARISON_OPERATOR_IN: ComparisonOperator
LOGICAL_OPERATOR_UNSPECIFIED: LogicalOperator
LOGICAL_OPERATOR_AND: LogicalOperator
LOGICAL_OPERATOR_OR: LogicalOperator

class WorkflowTemplate(_message.Message):
    __slots__ = ("id", "interface", "nodes", "outputs", "failure_policy", "on_failure", "on_exit", "interruptible", "docs")
    ID_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_POLICY_FIELD_NUMBER: _ClassVar[int]
    ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    ON_EXIT_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIBLE_FIELD_NUMBER: _ClassVar[int]
    DOCS_FIELD_NUMBER: _ClassVar[int]
    id: _identifier_pb2.Identifier
    interface: _interface_pb2.TypedInterface
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    outputs: _containers.RepeatedCompositeFieldContainer[Binding]
    failure_policy: FailurePolicy
    on_failure: Node
    on_exit: Node
    interruptible: bool
    docs: _task_pb2.Documentation
    def __init__(self, id: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ..., interface: _Optional[_Union[_interface_pb2.TypedInterface, _Mapping]] = ..., nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., failure_policy: _Optional[_Union[FailurePolicy, str]] = ..., on_failure: _Optional[_Union[Node, _Mapping]] = ..., on_exit: _Optional[_Union[Node, _Mapping]] = ..., interruptible: _Optional[bool] = ..., docs: _Optional[_Union[_task_pb2.Documentation, _Mapping]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("id", "name", "inputs", "upstream_node_ids", "task", "workflow", "launch_plan", "branch", "gate", "map", "overrides")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_NODE_IDS_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    GATE_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    inputs: _containers.RepeatedCompositeFieldContainer[Binding]
    upstream_node_ids: _containers.RepeatedScalarFieldContainer[str]
    task: TaskNode
    workflow: WorkflowNode
    launch_plan: LaunchPlanNode
    branch: BranchNode
    gate: GateNode
    map: MapNode
    overrides: NodeOverrides
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., inputs: _Optional[_Iterable[_Union[Binding, _Mapping]]] = ..., upstream_node_ids: _Optional[_Iterable[str]] = ..., task: _Optional[_Union[TaskNode, _Mapping]] = ..., workflow: _Optional[_Union[WorkflowNode, _Mapping]] = ..., launch_plan: _Optional[_Union[LaunchPlanNode, _Mapping]] = ..., branch: _Optional[_Union[BranchNode, _Mapping]] = ..., gate: _Optional[_Union[GateNode, _Mapping]] = ..., map: _Optional[_Union[MapNode, _Mapping]] = ..., overrides: _Optional[_Union[NodeOverrides, _Mapping]] = ...) -> None: ...

class NodeOverrides(_message.Message):
    __slots__ = ("retries", "timeouts", "cache", "resources", "interruptible", "container_image", "environment", "pod_template")
    class EnvironmentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    TIMEOUTS_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTIBLE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_IMAGE_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    POD_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    retries: _task_pb2.RetryPolicy
    timeouts: _task_pb2.Timeouts
    cache: _task_pb2.CachePolicy
    resources: _task_pb2.Resources
    interruptible: bool
    container_image: str
    environment: _containers.ScalarMap[str, str]
    pod_template: _task_pb2.PodTemplate
    def __init__(self, retries: _Optional[_Union[_task_pb2.RetryPolicy, _Mapping]] = ..., timeouts: _Optional[_Union[_task_pb2.Timeouts, _Mapping]] = ..., cache: _Optional[_Union[_task_pb2.CachePolicy, _Mapping]] = ..., resources: _Optional[_Union[_task_pb2.Resources, _Mapping]] = ..., interruptible: _Optional[bool] = ..., container_image: _Optional[str] = ..., environment: _Optional[_Mapping[str, str]] = ..., pod_template: _Optional[_Union[_task_pb2.PodTemplate, _Mapping]] = ...) -> None: ...

class TaskNode(_message.Message):
    __slots__ = ("task_id",)
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: _identifier_pb2.Identifier
    def __init__(self, task_id: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ...) -> None: ...

class WorkflowNode(_message.Message):
    __slots__ = ("workflow_id",)
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    workflow_id: _identifier_pb2.Identifier
    def __init__(self, workflow_id: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ...) -> None: ...

class LaunchPlanNode(_message.Message):
    __slots__ = ("launch_plan_id",)
    LAUNCH_PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    launch_plan_id: _identifier_pb2.Identifier
    def __init__(self, launch_plan_id: _Optional[_Union[_identifier_pb2.Identifier, _Mapping]] = ...) -> None: ...

class BranchNode(_message.Message):
    __slots__ = ("arms", "else_node", "else_failure")
    ARMS_FIELD_NUMBER: _ClassVar[int]
    ELSE_NODE_FIELD_NUMBER: _ClassVar[int]
    ELSE_FAILURE_FIELD_NUMBER: _ClassVar[int]
    arms: _containers.RepeatedCompositeFieldContainer[BranchArm]
    else_node: Node
    else_failure: str
    def __init__(self, arms: _Optional[_Iterable[_Union[BranchArm, _Mapping]]] = ..., else_node: _Optional[_Union[Node, _Mapping]] = ..., else_failure: _Optional[str] = ...) -> None: ...

class BranchArm(_message.Message):
    __slots__ = ("condition", "then_node")
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    THEN_NODE_FIELD_NUMBER: _ClassVar[int]
    condition: BooleanExpression
    then_node: Node
    def __init__(self, condition: _Optional[_Union[BooleanExpression, _Mapping]] = ..., then_node: _Optional[_Union[Node, _Mapping]] = ...) -> None: ...

class BooleanExpression(_message.Message):
    __slots__ = ("comparison", "conjunction", "negation", "truth")
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    CONJUNCTION_FIELD_NUMBER: _ClassVar[int]
    NEGATION_FIELD_NUMBER: _ClassVar[int]
    TRUTH_FIELD_NUMBER: _ClassVar[int]
    comparison: Comparison
    conjunction: Conjunction
    negation: BooleanExpression
    truth: Operand
    def __init__(self, comparison: _Optional[_Union[Comparison, _Mapping]] = ..., conjunction: _Optional[_Union[Conjunction, _Mapping]] = ..., negation: _Optional[_Union[BooleanExpression, _Mapping]] = ..., truth: _Optional[_Union[Operand, _Mapping]] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("operator", "left", "right")
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    operator: ComparisonOperator
    left: Operand
    right: Operand
    def __init__(self, operator: _Optional[_Union[ComparisonOperator, str]] = ..., left: _Optional[_Union[Operand, _Mapping]] = ..., right: _Optional[_Union[Operand, _Mapping]] = ...) -> None: ...

class Conjunction(_message.Message):
    __slots__ = ("operator", "expressions")
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    operator: LogicalOperator
    expressions: _containers.RepeatedCompositeFieldContainer[BooleanExpression]
    def __init__(self, operator: _Optional[_Union[LogicalOperator, str]] = ..., expressions: _Optional[_Iterable[_Union[BooleanExpression, _Mapping]]] = ...) -> None: ...

class Operand(_message.Message):
    __slots__ = ("literal", "promise")
    LITERAL_FIELD_NUMBER: _ClassVar[int]
    PROMISE_FIELD_NUMBER: _ClassVar[int]
    literal: _literals_pb2.Literal
    promise: Promise
    def __init__(self, literal: _Optional[_Union[_literals_pb2.Literal, _Mapping]] = ..., promise: _Optional[_Union[Promise, _Mapping]] = ...) -> None: ...

class GateNode(_message.Message):
    __slots__ = ("sleep", "signal", "approval")
    SLEEP_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    sleep: _duration_pb2.Duration
    signal: SignalCondition
    approval: ApprovalCondition
    def __init__(self, sleep: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., signal: _Optional[_Union[SignalCondition, _Mapping]] = ..., approval: _Optional[_Union[ApprovalCondition, _Mapping]] = ...) -> None: ...

class SignalCondition(_message.Message):
    __slots__ = ("signal_id", "type")
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    type: _types_pb2.LiteralType
    def __init__(self, signal_id: _Optional[str] = ..., type: _Optional[_Union[_types_pb2.LiteralType, _Mapping]] = ...) -> None: ...

class ApprovalCondition(_message.Message):
    __slots__ = ("signal_id",)
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    def __init__(self, signal_id: _Optional[str] = ...) -> None: ...

class MapNode(_message.Message):
    __slots__ = ("task", "workflow", "launch_plan", "bound_inputs", "concurrency", "min_successes", "min_success_ratio", "run_all")
    TASK_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    LAUNCH_PLAN_FIELD_NUMBER: _ClassVar[int]
    BOUND_INPUTS_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MIN_SUCCESSES_FIELD_NUMBER: _ClassVar[int]
    MIN_SUCCESS_RATIO_FIELD_NUMBER: _ClassVar[int]
    RUN_ALL_FIELD_NUMBER: _ClassVar[int]
    task: TaskNode
    workflow: WorkflowNode
    launch_plan: LaunchPlanNode
    bound_inputs: _containers.RepeatedScalarFieldContainer[str]
    concurrency: int
    min_successes: int
    min_success_ratio: float
    run_all: bool
    def __init__(self, task: _Optional[_Union[TaskNode, _Mapping]] = ..., workflow: _Optional[_Union[WorkflowNode, _Mapping]] = ..., launch_plan: _Optional[_Union[LaunchPlanNode, _Mapping]] = ..., bound_inputs: _Optional[_Iterable[str]] = ..., concurrency: _Optional[int] = ..., min_successes: _Optional[int] = ..., min_success_ratio: _Optional[float] = ..., run_all: _Optional[bool] = ...) -> None: ...

class Binding(_message.Message):
    __slots__ = ("name", "value")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: BindingValue
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[BindingValue, _Mapping]] = ...) -> None: ...

class BindingValue(_message.Message):
    __slots__ = ("literal", "promise", "collection", "map", "record")
    LITERAL_FIELD_NUMBER: _ClassVar[int]
    PROMISE_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    literal: _literals_pb2.Literal
    promise: Promise
    collection: BindingCollection
    map: BindingMap
    record: BindingMap
    def __init__(self, literal: _Optional[_Union[_literals_pb2.Literal, _Mapping]] = ..., promise: _Optional[_Union[Promise, _Mapping]] = ..., collection: _Optional[_Union[BindingCollection, _Mapping]] = ..., map: _Optional[_Union[BindingMap, _Mapping]] = ..., record: _Optional[_Union[BindingMap, _Mapping]] = ...) -> None: ...

class BindingCollection(_message.Message):
    __slots__ = ("bindings",)
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    bindings: _containers.RepeatedCompositeFieldContainer[BindingValue]
    def __init__(self, bindings: _Optional[_Iterable[_Union[BindingValue, _Mapping]]] = ...) -> None: ...

class BindingMap(_message.Message):
    __slots__ = ("bindings",)
    class BindingsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: BindingValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[BindingValue, _Mapping]] = ...) -> None: ...
    BINDINGS_FIELD_NUMBER: _ClassVar[int]
    bindings: _containers.MessageMap[str, BindingValue]
    def __init__(self, bindings: _Optional[_Mapping[str, BindingValue]] = ...) -> None: ...

class Promise(_message.Message):
    __slots__ = ("node_id", "name", "path")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    name: str
    path: _containers.RepeatedCompositeFieldContainer[PathStep]
    def __init__(self, node_id: _Optional[str] = ..., name: _Optional[str] = ..., path: _Optional[_Iterable[_Union[PathStep, _Mapping]]] = ...) -> None: ...

class PathStep(_message.Message):
    __slots__ = ("attribute", "index", "key")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    index: int
    key: str
    def __init__(self, attribute: _Optional[str] = ..., index: _Optional[int] = ..., key: _Optional[str] = ...) -> None: ...
