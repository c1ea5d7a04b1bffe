package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// readSmokePing reads the pages of SmokePing, whose graphs its FastCGI program draws.
func readSmokePing(t *testing.T) {
	const data = "/srv/smokeping"
	install(t, "testdata/pool/smokeping.conf", "/etc/smokeping/config", 0o644)
	if err := os.MkdirAll(filepath.Join(data, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(data, "office"), 0o755); err != nil {
		t.Fatal(err)
	}
	const create = `use RRDs; RRDs::create(shift, '--step', 300, (map "DS:$_:GAUGE:600:0:U", qw(uptime loss median ping1 ping2 ping3)), 'RRA:AVERAGE:0.5:1:1000'); die RRDs::error if RRDs::error`
	if out, err := exec.Command("perl", "-e", create, filepath.Join(data, "office", "printer.rrd")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command("chown", "-R", "www-data", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for range 2 { // by the same process
		wantPage(t, "/smokeping", "text/html", "Network Latency Grapher", `href="?target=office"`)
		wantPage(t, "/smokeping?target=office.printer", "text/html", "The printer", "/images/office/printer")
	}
	images, err := filepath.Glob(filepath.Join(data, "images", "office", "*.png"))
	if err != nil || len(images) == 0 {
		t.Fatalf("no graph has been drawn: %v", err)
	}
	for _, name := range images {
		if image := read(t, name); !strings.HasPrefix(string(image), "\x89PNG") {
			t.Errorf("%s is no graph: %.20q", name, image)
		}
	}
}
