package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/cgi"
	"gatehouse/cgi/process"
)

// BenchmarkConfinement runs a static C program that says hello, one request at a time,
// under one kind of confinement after the other. What other work on the machine
// changes least is the processor time.
func BenchmarkConfinement(b *testing.B) {
	for _, c := range []struct {
		name    string
		confine func(*App)
	}{
		{"none", func(*App) {}},
		{"user", func(a *App) { a.RunAs.User = "nobody" }},
		{"umask", func(a *App) { a.Confinement.Umask = 0o027 }},
		{"landlock", func(a *App) { a.Confinement.Read = []string{"/usr"} }},
		{"check_mode", func(a *App) { a.Confinement.CheckMode = true }},
		{"open_files", func(a *App) { a.Limits.OpenFiles = 100 }},
		{"all", func(a *App) {
			a.Confinement = process.Confinement{CheckMode: true, Umask: 0o027, Read: []string{"/usr"}, NoCore: true}
			a.Limits.OpenFiles, a.Limits.AddressSpace, a.Limits.FileBytes = 100, 1<<30, 1<<20
		}},
		{"cpu", func(a *App) { a.Limits.CPU = 10e9 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
				if err := os.Chmod(d, 0o755); err != nil {
					b.Fatal(err)
				}
			}
			prog := static(b, dir, "hello.cgi", helloC)
			app := &App{Roots: []string{dir}}
			c.confine(app)
			defer app.Close()
			var h cgi.Handler
			before := processorTime(b)
			for b.Loop() {
				r := &cgi.Request{Body: strings.NewReader(""), Env: cgi.NewEnviron("REQUEST_METHOD=GET", "SCRIPT_FILENAME="+prog, "SCRIPT_NAME=/hello.cgi")}
				var s nullSink
				if res := h.Run(r, &s, app); res.Err != nil || s.bytes != 12 {
					b.Fatalf("%d bytes, %v", s.bytes, res.Err)
				}
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime returns that of this process and of its children.
func processorTime(b *testing.B) (total int64) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		total += u.Utime.Nano() + u.Stime.Nano()
	}
	return total
}
