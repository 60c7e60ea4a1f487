package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// mark is the label and the taint of stand-in nodes: only pods that select and tolerate it come here.
const mark = "volery.dev/stand-in"

const (
	leaseSeconds = 40
	renewEvery   = 3 * time.Second
)

// node plays a kubelet.
type node struct {
	client  kubernetes.Interface
	name    string
	address string
	scripts script
	direct  bool
	pods    cache.Store
	queue   workqueue.TypedRateLimitingInterface[string]

	mutex sync.Mutex
	seen  map[types.UID]*progress
}

// progress is how far a pod has come.
type progress struct {
	first   time.Time
	started time.Time
	done    bool
}

func runNode(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("node", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	name := flags.String("name", "stand-in", "the node's name")
	address := flags.String("address", "127.0.0.1", "the address it tells of itself and its pods")
	workers := flags.Int("workers", 64, "status changes at a time")
	capacity := flags.Int64("pods", 10000, "pods it takes")
	outcome := flags.String("outcome", "succeed", "what becomes of pods that do not say")
	startsAfter := flags.Duration("starts-after", 0, "until a pod runs")
	runsFor := flags.Duration("runs-for", 0, "until it ends")
	direct := flags.Bool("direct", false, "pods that take no time end without having been seen running")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	client, err := connect(*kubeconfig)
	if err != nil {
		return err
	}
	n := &node{
		client: client, name: *name, address: *address, direct: *direct,
		scripts: script{outcome: *outcome, startsAfter: *startsAfter, runsFor: *runsFor},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[string](10*time.Millisecond, time.Second)),
		seen: map[types.UID]*progress{},
	}
	if err := n.register(ctx, *capacity); err != nil {
		return err
	}
	go n.renew(ctx)
	return n.serve(ctx, *workers)
}

func (n *node) serve(ctx context.Context, workers int) error {
	// Not by spec.nodeName: the API server keeps ten events for a watch of one node's pods, which is much for a
	// kubelet, and ends it when more come at once. Here that is every other second, and client-go waits before
	// it watches again.
	source := cache.NewListWatchFromClient(n.client.CoreV1().RESTClient(), "pods", "", fields.Everything())
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    n.enqueue,
		UpdateFunc: func(_, now any) { n.enqueue(now) },
		DeleteFunc: n.forget,
	}
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: source, ObjectType: &core.Pod{}, Handler: handler,
	})
	n.pods = store
	go controller.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), controller.HasSynced) {
		return ctx.Err()
	}
	fmt.Println("ready")
	for range workers {
		go n.work(ctx)
	}
	<-ctx.Done()
	n.queue.ShutDown()
	return nil
}

func (n *node) enqueue(object any) {
	if pod, ok := object.(*core.Pod); !ok || pod.Spec.NodeName != n.name {
		return
	}
	if key, err := cache.MetaNamespaceKeyFunc(object); err == nil {
		n.queue.Add(key)
	}
}

func (n *node) forget(object any) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	if pod, ok := object.(*core.Pod); ok {
		n.mutex.Lock()
		delete(n.seen, pod.UID)
		n.mutex.Unlock()
	}
}

func (n *node) work(ctx context.Context) {
	for {
		key, shutdown := n.queue.Get()
		if shutdown {
			return
		}
		after, err := n.step(ctx, key)
		switch {
		case err != nil && ctx.Err() == nil:
			fmt.Fprintln(os.Stderr, key, err)
			n.queue.AddRateLimited(key)
		case after > 0:
			n.queue.AddAfter(key, after)
		}
		if err == nil {
			n.queue.Forget(key)
		}
		n.queue.Done(key)
	}
}

// step moves a pod as far as it goes now, and says after which time it goes on.
func (n *node) step(ctx context.Context, key string) (time.Duration, error) {
	object, exists, err := n.pods.GetByKey(key)
	if err != nil || !exists {
		return 0, err
	}
	pod := object.(*core.Pod)
	now := time.Now()
	own := n.progressOf(pod, now)
	if pod.DeletionTimestamp != nil {
		return 0, n.remove(ctx, pod, own, now)
	}
	if own.done || pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed {
		return 0, nil
	}
	s, err := n.scripts.of(pod)
	if err != nil {
		fmt.Fprintln(os.Stderr, key, err)
		return 0, nil
	}
	if left := s.startsAfter - now.Sub(own.first); left > 0 {
		return left, nil
	}
	return n.play(ctx, pod, own, s, now)
}

func (n *node) play(
	ctx context.Context, pod *core.Pod, own *progress, s script, now time.Time,
) (time.Duration, error) {
	switch s.outcome {
	case "pending":
		return 0, nil
	case "image":
		own.done = true
		return 0, n.write(ctx, pod, waiting(pod, n.address, now))
	}
	if own.started.IsZero() {
		own.started = now
		if !n.direct || s.runsFor > 0 {
			if err := n.write(ctx, pod, running(pod, n.address, now)); err != nil {
				own.started = time.Time{}
				return 0, err
			}
		}
	}
	if s.outcome == "hang" {
		return 0, nil
	}
	if left := s.runsFor - now.Sub(own.started); left > 0 {
		return left, nil
	}
	var err error
	switch s.outcome {
	case "vanish":
		err = n.drop(ctx, pod)
	case "evict":
		err = n.write(ctx, pod, evicted(now))
	default:
		err = n.write(ctx, pod, ended(pod, s, n.address, own.started, time.Now()))
	}
	own.done = err == nil
	return 0, err
}

// remove ends a pod that is being deleted, as a kubelet does: its last status first, so that who holds a finalizer on
// it learns how it ended.
func (n *node) remove(ctx context.Context, pod *core.Pod, own *progress, now time.Time) error {
	over := pod.Status.Phase == core.PodSucceeded || pod.Status.Phase == core.PodFailed
	if !over && !own.done {
		killed := script{outcome: "fail", exitCode: 143}
		if own.started.IsZero() {
			own.started = now
		}
		if err := n.write(ctx, pod, ended(pod, killed, n.address, own.started, now)); err != nil {
			return err
		}
		own.done = true
	}
	if pod.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds == 0 {
		return nil // only finalizers hold it now
	}
	return n.drop(ctx, pod)
}

func (n *node) drop(ctx context.Context, pod *core.Pod) error {
	atOnce := int64(0)
	err := n.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, meta.DeleteOptions{
		GracePeriodSeconds: &atOnce, Preconditions: &meta.Preconditions{UID: &pod.UID},
	})
	if errors.IsNotFound(err) || errors.IsConflict(err) {
		return nil
	}
	return err
}

func (n *node) write(ctx context.Context, pod *core.Pod, status *core.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = n.client.CoreV1().Pods(pod.Namespace).Patch(
		ctx, pod.Name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
	if errors.IsNotFound(err) || errors.IsConflict(err) {
		return nil // it is gone, or is another pod of that name
	}
	return err
}

func (n *node) progressOf(pod *core.Pod, now time.Time) *progress {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	own, ok := n.seen[pod.UID]
	if !ok {
		own = &progress{first: now}
		n.seen[pod.UID] = own
	}
	return own
}

func (n *node) register(ctx context.Context, capacity int64) error {
	room := core.ResourceList{
		core.ResourceCPU:              resource.MustParse("10000"),
		core.ResourceMemory:           resource.MustParse("100Ti"),
		core.ResourceEphemeralStorage: resource.MustParse("100Ti"),
		core.ResourcePods:             *resource.NewQuantity(capacity, resource.DecimalSI),
		"nvidia.com/gpu":              resource.MustParse("1000"),
	}
	wanted := &core.Node{
		ObjectMeta: meta.ObjectMeta{Name: n.name, Labels: map[string]string{
			mark: n.name, "kubernetes.io/hostname": n.name, "kubernetes.io/os": "linux",
		}},
		Spec: core.NodeSpec{Taints: []core.Taint{{Key: mark, Value: n.name, Effect: core.TaintEffectNoSchedule}}},
	}
	_, err := n.client.CoreV1().Nodes().Create(ctx, wanted, meta.CreateOptions{})
	if err != nil && !errors.IsAlreadyExists(err) {
		return err
	}
	if err := n.lease(ctx); err != nil {
		return err
	}
	return n.report(ctx, room)
}

func (n *node) report(ctx context.Context, room core.ResourceList) error {
	now := meta.Now()
	status := core.NodeStatus{
		Capacity: room, Allocatable: room,
		Addresses: []core.NodeAddress{{Type: core.NodeInternalIP, Address: n.address}},
		Conditions: []core.NodeCondition{{
			Type: core.NodeReady, Status: core.ConditionTrue, Reason: "StandIn",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}},
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = n.client.CoreV1().Nodes().Patch(
		ctx, n.name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
	return err
}

func (n *node) renew(ctx context.Context) {
	ticks := time.NewTicker(renewEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			if err := n.lease(ctx); err != nil && ctx.Err() == nil {
				fmt.Fprintln(os.Stderr, "lease:", err)
			}
		}
	}
}

func (n *node) lease(ctx context.Context) error {
	leases := n.client.CoordinationV1().Leases(core.NamespaceNodeLease)
	now, seconds := meta.NowMicro(), int32(leaseSeconds)
	spec := coordination.LeaseSpec{HolderIdentity: &n.name, LeaseDurationSeconds: &seconds, RenewTime: &now}
	own, err := leases.Get(ctx, n.name, meta.GetOptions{})
	if errors.IsNotFound(err) {
		wanted := &coordination.Lease{ObjectMeta: meta.ObjectMeta{Name: n.name}, Spec: spec}
		_, err = leases.Create(ctx, wanted, meta.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	own.Spec = spec
	_, err = leases.Update(ctx, own, meta.UpdateOptions{})
	return err
}
