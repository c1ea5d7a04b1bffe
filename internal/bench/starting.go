//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// nothingGo is the least that a Go program can do.
const nothingGo = "package main\n\nfunc main() {}\n"

// writeNothing builds a Go program that does nothing.
func (w *workshop) writeNothing() error {
	source := filepath.Join(w.dir, "nothing.go")
	if err := os.WriteFile(source, []byte(nothingGo), 0o600); err != nil {
		return err
	}
	return build("env", "CGO_ENABLED=0", "go", "build", "-o", filepath.Join(w.dir, "nothing"), source)
}

// A starting measures the processor time of a CGI program, user and system, from its start to
// its exit.
type starting struct {
	args   []string // {socket} stands for the socket of the side
	silent bool     // it makes no request
}

func (starting) figures() []string { return []string{"ms"} }

func (s starting) measure(r *running, length time.Duration) ([]float64, error) {
	var args []string
	for _, a := range s.args {
		args = append(args, strings.ReplaceAll(a, "{socket}", r.socket))
	}
	var times []float64
	for began := time.Now(); len(times) < 3 || time.Since(began) < length; {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = []string{"GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", "SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=localhost",
			"SERVER_PORT=80", "SCRIPT_NAME=/hello", "REQUEST_URI=/hello", "QUERY_STRING="}
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", args[0], err)
		}
		if !s.silent && !bytes.HasSuffix(out, []byte("\n\r\n"+helloText)) {
			return nil, fmt.Errorf("%s: the response is not %q: %q", args[0], helloText, out)
		}
		times = append(times, float64((cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Nanoseconds())/1e6)
	}
	return []float64{median(times)}, nil
}
