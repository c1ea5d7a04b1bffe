package gatehouse_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// TestImports holds that imports run downwards: what a package imports, directly or not,
// has none of the prefixes.
func TestImports(t *testing.T) {
	daemon := []string{"gatehouse/daemon"}
	exporters := []string{"github.com/prometheus", "go.opentelemetry.io"} // of figures, which others choose
	tests := []struct {
		pattern   string
		forbidden []string
	}{
		{"gatehouse", append(exporters, daemon...)},
		{"gatehouse/cgi/...", exporters},
		{"gatehouse/fastcgi/...", exporters},
		{"gatehouse/cgi", []string{"gatehouse/cgi/process", "gatehouse/cgi/script", "gatehouse/internal"}},
		{"gatehouse/cgi/process", []string{"gatehouse"}},
		{"gatehouse/cgi/admission", []string{"gatehouse/cgi/process", "gatehouse/cgi/script"}},
		{"gatehouse/cgi/slow", []string{"gatehouse/cgi/script", "gatehouse/internal"}},
		{"gatehouse/cgi/relay", []string{"gatehouse/cgi/process", "gatehouse/cgi/script"}},
		{"gatehouse/cgi/...", append(daemon, "gatehouse/fastcgi", "gatehouse/scgi", "gatehouse/iis")},
		{"gatehouse/fastcgi/...", daemon},
		{"gatehouse/scgi/...", daemon},
		{"gatehouse/iis/...", daemon},
		{"gatehouse/systemd/...", daemon},
		{"gatehouse/internal/frontend", daemon},
		{"gatehouse/internal/fault", daemon},
		{"gatehouse/internal/forwarded", append(daemon, "gatehouse/cgi", "gatehouse/fastcgi", "gatehouse/scgi")},
		{"gatehouse/internal/sources", append(daemon, "gatehouse/cgi", "gatehouse/fastcgi")},
		{"gatehouse/internal/wrongport", append(daemon, "gatehouse/cgi", "gatehouse/scgi", "gatehouse/internal/frontend")},
		{"gatehouse/internal/backend", append(daemon, "gatehouse/fastcgi", "gatehouse/scgi", "gatehouse/cgi/process", "gatehouse/cgi/script")},
		{"gatehouse/deploy", daemon},
		// What every start of gatehouse cgi would pay for: go/build and tables of settings.
		{"gatehouse/daemon/gatehouse", []string{"github.com/yookoala/gofast", "runtime/metrics"}},
		{"gatehouse/...", []string{"gatehouse/internal/testkit", "gatehouse/internal/fault"}},
	}
	for _, tt := range tests {
		cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Deps}} {{.}}{{end}}`, tt.pattern)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || len(out) == 0 {
			t.Fatalf("go list %s: %v\n%s", tt.pattern, err, stderr.Bytes())
		}
		for line := range strings.Lines(string(out)) {
			names := strings.Fields(line)
			for _, dep := range names[1:] {
				for _, prefix := range tt.forbidden {
					if (dep == prefix || strings.HasPrefix(dep, prefix+"/")) && !strings.HasPrefix(names[0], prefix+"/") {
						t.Errorf("%s imports %s", names[0], dep)
					}
				}
			}
		}
	}
}
