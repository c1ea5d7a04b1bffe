//go:build unix

package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// leakless runs the tests and then looks for goroutines that they left behind.
type leakless struct{ *testing.M }

func (m leakless) Run() int {
	code := m.M.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"gatehouse": main,
		"fcgiwrap":  main,
		"slowcgi":   main,
		"ask":       ask,
		"alone":     alone,

		"unprivileged": unprivileged,
		"limited":      limited,
	})
}

// TestScripts runs the scripts of testdata. They know the condition "root". Beside testscript's own commands they
// have the commands "gatehouse", "ask" (a web server's side of one request),
// "alone" (with a network of its own), "unprivileged" (without the rights of root),
// and
//
//	start [-full] [-as NAME] [-stdin ADDR] [-fd NAME=ADDR]... N ARGUMENT...
//	    starts gatehouse, by another name if one is given, and waits until it listens on N addresses, which are in
//	    $http, $fastcgi and $scgi then; the options pass it listening sockets, and with -full
//	    its standard error is a full pipe that nobody reads; $PID is its number
//	log PATTERN
//	    waits for a line of its log
//	signal NAME
//	    sends it SIGTERM, SIGHUP and so on
//	status N
//	    waits for its end, and checks its exit status; its output is in the files
//	    daemon.stdout and daemon.stderr
//	exitstatus N COMMAND ARGUMENT...
//	    is exec, and checks the exit status
//	await FILE
//	    waits until there is such a file, or with "!" until there is none
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Values[daemonKey{}] = new(running)
			// Sockets have short paths.
			dir, err := os.MkdirTemp("", "gatehouse")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(dir) })
			env.Setenv("RUN", dir)
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"start":  cmdStart,
			"log":    cmdLog,
			"signal": cmdSignal,
			"status": cmdStatus,
			"await":  cmdAwait,

			"exitstatus": cmdExitStatus,
		},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return os.Geteuid() == 0, nil
		},
	})
}
