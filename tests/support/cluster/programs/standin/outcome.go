package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations of a pod that say what becomes of it here.
const (
	annotationOutcome     = "stand-in.volery.dev/outcome"
	annotationExitCode    = "stand-in.volery.dev/exit-code"
	annotationMessage     = "stand-in.volery.dev/message"
	annotationOutputs     = "stand-in.volery.dev/outputs"
	annotationStartsAfter = "stand-in.volery.dev/starts-after"
	annotationRunsFor     = "stand-in.volery.dev/runs-for"
)

// script is what becomes of one pod.
type script struct {
	// succeed, fail, oom, evict, hang, image, pending or vanish.
	outcome     string
	exitCode    int32
	startsAfter time.Duration
	runsFor     time.Duration
}

func (s script) of(pod *core.Pod) (script, error) {
	said := pod.Annotations
	if value, ok := said[annotationOutcome]; ok {
		s.outcome = value
	}
	switch s.outcome {
	case "succeed", "evict", "hang", "image", "pending", "vanish":
	case "fail":
		s.exitCode = 1
	case "oom":
		s.exitCode = 137
	default:
		return s, fmt.Errorf("unknown outcome %q", s.outcome)
	}
	if value, ok := said[annotationExitCode]; ok {
		code, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return s, err
		}
		s.exitCode = int32(code)
	}
	for name, target := range map[string]*time.Duration{
		annotationStartsAfter: &s.startsAfter, annotationRunsFor: &s.runsFor,
	} {
		if value, ok := said[name]; ok {
			duration, err := time.ParseDuration(value)
			if err != nil {
				return s, err
			}
			*target = duration
		}
	}
	return s, nil
}

// running is a pod's status when its containers run.
func running(pod *core.Pod, address string, now time.Time) *core.PodStatus {
	state := core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: meta.NewTime(now)}}
	status := &core.PodStatus{Phase: core.PodRunning, HostIP: address, PodIP: address, StartTime: stamp(now)}
	for _, container := range pod.Spec.InitContainers {
		own := state
		if !sidecar(container) {
			own = terminated(now, now, 0, "Completed", "")
		}
		status.InitContainerStatuses = append(status.InitContainerStatuses, statusOf(container, own, true))
	}
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, statusOf(container, state, true))
	}
	status.Conditions = conditions(core.ConditionTrue, "", now)
	return status
}

// ended is a pod's status when its containers have ended.
func ended(pod *core.Pod, s script, address string, started, now time.Time) *core.PodStatus {
	status := &core.PodStatus{HostIP: address, PodIP: address, StartTime: stamp(started)}
	reason, phase := "Completed", core.PodSucceeded
	if s.exitCode != 0 {
		reason, phase = "Error", core.PodFailed
	}
	if s.outcome == "oom" {
		reason = "OOMKilled"
	}
	status.Phase = phase
	for _, container := range pod.Spec.InitContainers {
		message := messageOf(pod, container, s, started, now)
		status.InitContainerStatuses = append(status.InitContainerStatuses,
			statusOf(container, terminated(started, now, 0, "Completed", message), false))
	}
	for _, container := range pod.Spec.Containers {
		message := messageOf(pod, container, s, started, now)
		status.ContainerStatuses = append(status.ContainerStatuses,
			statusOf(container, terminated(started, now, s.exitCode, reason, message), false))
	}
	status.Conditions = conditions(core.ConditionFalse, "PodCompleted", now)
	return status
}

// waiting is a pod's status when its image cannot be had.
func waiting(pod *core.Pod, address string, now time.Time) *core.PodStatus {
	status := &core.PodStatus{Phase: core.PodPending, HostIP: address, StartTime: stamp(now)}
	for _, container := range pod.Spec.Containers {
		state := core.ContainerState{Waiting: &core.ContainerStateWaiting{
			Reason: "ImagePullBackOff", Message: "Back-off pulling image " + strconv.Quote(container.Image),
		}}
		status.ContainerStatuses = append(status.ContainerStatuses, statusOf(container, state, false))
	}
	status.Conditions = conditions(core.ConditionFalse, "ContainersNotReady", now)
	return status
}

// evicted is a pod's status when the node had no more room for it.
func evicted(now time.Time) *core.PodStatus {
	return &core.PodStatus{
		Phase: core.PodFailed, Reason: "Evicted", StartTime: stamp(now),
		Message: "The node was low on resource: memory.",
	}
}

// messageOf is a container's termination message: what its annotation says, or the verdict that a task would have
// written whose attempt is named by the container's environment.
func messageOf(pod *core.Pod, container core.Container, s script, started, now time.Time) string {
	environment := map[string]string{}
	for _, variable := range container.Env {
		environment[variable.Name] = variable.Value
	}
	uid, named := environment["VOLERY_EXECUTION_UID"]
	if said, ok := pod.Annotations[annotationMessage]; ok && (named || len(pod.Spec.Containers) == 1) {
		return said
	}
	if !named || s.exitCode != 0 {
		return ""
	}
	path, attempt := environment["VOLERY_NODE"], environment["VOLERY_ATTEMPT"]
	outputs, err := base64.StdEncoding.DecodeString(pod.Annotations[annotationOutputs])
	if err != nil {
		return err.Error()
	}
	verdict := verdictOf(uid, path, attempt, outputs, started, now)
	sum := sha256.Sum256(verdict)
	tag := sha256.Sum256([]byte(uid + "\x00" + path + "\x00" + attempt))
	return fmt.Sprintf("volery/1 %d %s %s %s", len(verdict), hex.EncodeToString(sum[:]),
		hex.EncodeToString(tag[:])[:16], base64.StdEncoding.EncodeToString(verdict))
}

// verdictOf is an AttemptVerdict with these outputs, in the encoding of its field numbers.
func verdictOf(uid, path, attempt string, outputs []byte, started, now time.Time) []byte {
	number, _ := strconv.ParseUint(attempt, 10, 32)
	var out []byte
	field := func(number protowire.Number, value []byte) {
		out = protowire.AppendTag(out, number, protowire.BytesType)
		out = protowire.AppendBytes(out, value)
	}
	field(1, []byte(uid))
	field(2, []byte(path))
	out = protowire.AppendTag(out, 3, protowire.VarintType)
	out = protowire.AppendVarint(out, number)
	field(4, timestamp(started))
	field(5, timestamp(now))
	field(6, timestamp(started))
	field(7, outputs)
	return out
}

func timestamp(at time.Time) []byte {
	out := protowire.AppendTag(nil, 1, protowire.VarintType)
	out = protowire.AppendVarint(out, uint64(at.Unix()))
	out = protowire.AppendTag(out, 2, protowire.VarintType)
	return protowire.AppendVarint(out, uint64(at.Nanosecond()))
}

func sidecar(container core.Container) bool {
	return container.RestartPolicy != nil && *container.RestartPolicy == core.ContainerRestartPolicyAlways
}

func terminated(started, now time.Time, code int32, reason, message string) core.ContainerState {
	return core.ContainerState{Terminated: &core.ContainerStateTerminated{
		ExitCode: code, Reason: reason, Message: message,
		StartedAt: meta.NewTime(started), FinishedAt: meta.NewTime(now),
	}}
}

func statusOf(container core.Container, state core.ContainerState, ready bool) core.ContainerStatus {
	return core.ContainerStatus{
		Name: container.Name, Image: container.Image, ImageID: "stand-in", State: state, Ready: ready, Started: &ready,
	}
}

func conditions(ready core.ConditionStatus, reason string, now time.Time) []core.PodCondition {
	at := meta.NewTime(now)
	return []core.PodCondition{
		{Type: core.PodInitialized, Status: core.ConditionTrue, LastTransitionTime: at},
		{Type: core.PodReady, Status: ready, Reason: reason, LastTransitionTime: at},
		{Type: core.ContainersReady, Status: ready, Reason: reason, LastTransitionTime: at},
	}
}

func stamp(at time.Time) *meta.Time {
	stamped := meta.NewTime(at)
	return &stamped
}
