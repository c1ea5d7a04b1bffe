// Package kubernetes_test reads the files of this folder into the types of the Kubernetes API.
// No cluster has seen them. It is a module of its own, since these types are all that needs
// k8s.io/api.
package kubernetes_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// objects are those of gatehouse.yaml.
type objects struct {
	config     core.ConfigMap
	deployment apps.Deployment
	service    core.Service
	scaler     autoscaling.HorizontalPodAutoscaler
	budget     policy.PodDisruptionBudget
}

// decoded decodes all files strictly: an unknown or doubled field is an error.
func decoded(t *testing.T) *objects {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	o := new(objects)
	kinds := map[meta.TypeMeta]any{
		{APIVersion: "v1", Kind: "ConfigMap"}:                           &o.config,
		{APIVersion: "apps/v1", Kind: "Deployment"}:                     &o.deployment,
		{APIVersion: "v1", Kind: "Service"}:                             &o.service,
		{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"}: &o.scaler,
		{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"}:          &o.budget,
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents := regexp.MustCompile(`(?m)^---$`).Split(string(text), -1)
		for _, document := range documents[1:] { // before the first is a comment
			var typ meta.TypeMeta
			if err := yaml.Unmarshal([]byte(document), &typ); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			into, known := kinds[typ]
			if !known {
				t.Fatalf("%s: %v has no place here, or is there twice", file, typ)
			}
			delete(kinds, typ)
			if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
				t.Errorf("%s: %s: %v", file, typ.Kind, err)
			}
		}
	}
	for typ := range kinds {
		t.Errorf("there is no %s", typ.Kind)
	}
	return o
}

// TestDecodeStrictly: every field is one of the API's, and what refers to another object
// finds it.
func TestDecodeStrictly(t *testing.T) {
	o := decoded(t)
	pod := o.deployment.Spec.Template
	for what, selected := range map[string]map[string]string{
		"the Deployment": o.deployment.Spec.Selector.MatchLabels,
		"the Service":    o.service.Spec.Selector,
		"the budget":     o.budget.Spec.Selector.MatchLabels,
		"the spread":     pod.Spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels,
	} {
		if !reflect.DeepEqual(selected, pod.Labels) {
			t.Errorf("%s selects %v, and the pods have %v", what, selected, pod.Labels)
		}
	}
	target := o.scaler.Spec.ScaleTargetRef
	if want := (autoscaling.CrossVersionObjectReference{APIVersion: o.deployment.APIVersion, Kind: o.deployment.Kind, Name: o.deployment.Name}); target != want {
		t.Errorf("the scaler is for %v, want %v", target, want)
	}
	if o.deployment.Spec.Replicas != nil {
		t.Error("the Deployment would reset what the scaler has set")
	}
	c := pod.Spec.Containers[0]
	if c.Resources.Requests.Cpu().IsZero() {
		t.Error("without a request for cpu there is nothing to scale by")
	}
	volumes := make(map[string]core.VolumeSource)
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = v.VolumeSource
	}
	mounts := make(map[string]core.VolumeSource)
	for _, m := range c.VolumeMounts {
		mounts[m.MountPath] = volumes[m.Name]
	}
	if m := mounts["/etc/gatehouse"].ConfigMap; m == nil || m.Name != o.config.Name {
		t.Error("the configuration is not that of the ConfigMap")
	}
	if got, want := c.Command[len(c.Command)-1], "/etc/gatehouse/gatehouse.toml"; got != want || o.config.Data[filepath.Base(want)] == "" {
		t.Errorf("the configuration is %s, want %s", got, want)
	}
	if o.service.Spec.Ports[0].TargetPort.String() != c.Ports[0].Name {
		t.Error("the Service is for another port")
	}
	security := c.SecurityContext
	if !*pod.Spec.SecurityContext.RunAsNonRoot || !*security.ReadOnlyRootFilesystem || *security.AllowPrivilegeEscalation ||
		security.Capabilities.Drop[0] != "ALL" || len(security.Capabilities.Add) > 0 || security.Privileged != nil {
		t.Error("the pod has rights that it does not need")
	}
}

// TestConfiguration: gatehouse accepts its configuration, and the times and sizes there and
// in the pod fit together.
func TestConfiguration(t *testing.T) {
	o := decoded(t)
	text := o.config.Data["gatehouse.toml"]
	file := filepath.Join(t.TempDir(), "gatehouse.toml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	check := exec.Command("go", "run", "./daemon/gatehouse", "check", "--config", file)
	check.Dir = "../.."
	if out, err := check.CombinedOutput(); err != nil || !strings.Contains(string(out), "no errors") {
		t.Errorf("gatehouse check: %v\n%s", err, out)
	}
	var config struct {
		HTTP       string `toml:"http"`
		Ping       string `toml:"ping"`
		DrainDelay string `toml:"drain_delay"`
		Drain      string `toml:"drain"`
		SpoolDir   string `toml:"spool_dir"`
	}
	if err := toml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	pod := o.deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if port := fmt.Sprintf(":%d", c.Ports[0].ContainerPort); config.HTTP != port {
		t.Errorf("gatehouse listens on %s, the pod on %s", config.HTTP, port)
	}
	for what, p := range map[string]*core.Probe{"readiness": c.ReadinessProbe, "startup": c.StartupProbe, "liveness": c.LivenessProbe} {
		if p.HTTPGet.Path != config.Ping || p.HTTPGet.Port.String() != c.Ports[0].Name {
			t.Errorf("%s: %s on %s", what, p.HTTPGet.Path, p.HTTPGet.Port.String())
		}
	}
	delay, drain := duration(t, config.DrainDelay), duration(t, config.Drain)
	const grace = 3 * time.Second // of programs
	if total := seconds(*pod.TerminationGracePeriodSeconds); total < delay+drain+grace+5*time.Second {
		t.Errorf("the pod gets %v to end, and needs %v, %v and %v", total, delay, drain, grace)
	}
	if r := c.ReadinessProbe; seconds(int64(r.FailureThreshold*(r.PeriodSeconds+r.TimeoutSeconds))) > delay {
		t.Errorf("the drain begins before %d probes have failed", r.FailureThreshold)
	}
	if l := c.LivenessProbe; seconds(int64(l.FailureThreshold*l.PeriodSeconds)) < delay+drain+grace {
		t.Error("a gatehouse that drains would be killed")
	}
	if got := strings.Join(c.Lifecycle.PreStop.Exec.Command, " "); got != c.Command[0]+" drain" {
		t.Errorf("preStop is %q", got)
	}
	var tmp *core.EmptyDirVolumeSource
	for _, m := range c.VolumeMounts {
		for _, v := range pod.Volumes {
			if m.MountPath == config.SpoolDir && v.Name == m.Name {
				tmp = v.EmptyDir
			}
		}
	}
	if tmp == nil || tmp.SizeLimit.Value() < 512<<20 {
		t.Errorf("there is no place for bodies at %s", config.SpoolDir)
	}
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
