"""Projects on the wire."""

from __future__ import annotations

from voleryidl.project.v1.project_service_pb2 import Project, ProjectState

from volery_controlplane.domain.records import ProjectRecord
from volery_controlplane.grpc.convert.times import timestamp
from volery_controlplane.services.projects import ProjectDraft


def draft_from_wire(project: Project) -> ProjectDraft:
    """A project as somebody wants it; what is output only is not read."""
    return ProjectDraft(
        project_id=project.project_id,
        display_name=project.display_name,
        description=project.description,
        labels=dict(project.labels),
        archived=project.state == ProjectState.PROJECT_STATE_ARCHIVED,
    )


def project_to_wire(record: ProjectRecord) -> Project:
    """A project as it stands."""
    archived = ProjectState.PROJECT_STATE_ARCHIVED
    return Project(
        project_id=record.project_id,
        display_name=record.display_name,
        description=record.description,
        labels=dict(record.labels),
        state=archived if record.archived else ProjectState.PROJECT_STATE_ACTIVE,
        create_time=timestamp(record.create_time),
    )
