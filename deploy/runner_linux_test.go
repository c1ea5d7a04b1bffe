// Package deploy_test starts the web servers that Debian ships with the files
// of this folder, copied unmodified to the places that their comments name,
// and a gateway behind them.
//
// Each test runs in network, mount and process namespaces of its own, so that
// those places and port 80 are its own: nothing of the host changes, tests run
// side by side, and when one ends, for whatever reason, everything it started
// ends too.
package deploy_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// insideVariable tells the test binary that it runs inside the namespaces of
// one test. It names the directory that the process outside made, with the
// built programs in it, and will remove.
const insideVariable = "GATEHOUSE_DEPLOY_TEST"

// workspace is the directory that insideVariable names.
var workspace = os.Getenv(insideVariable)

func TestMain(m *testing.M) {
	runProgram()
	flag.Parse()
	if workspace == "" && flag.Lookup("test.list").Value.String() == "" {
		code, err := runAll()
		if err != nil {
			fmt.Fprintln(os.Stderr, "deploy tests:", err)
			code = 1
		}
		os.Exit(code)
	}
	if workspace != "" {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "deploy tests:", err)
			os.Exit(1)
		}
	}
	testkit.Main(m)
}

// A runner runs tests side by side, each in a process of its own, which is this
// binary again inside new namespaces.
type runner struct {
	dir   string // holds the built programs
	tests []string

	printing sync.Mutex
}

// runAll builds what is to be tested and runs the tests that the flags ask for,
// as many at once as -parallel says, and at most two for each processor. It returns
// the exit code.
func runAll() (int, error) {
	if err := installed(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-deploy-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	// The servers run as www-data and start programs in it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	if err := build(dir); err != nil {
		return 1, err
	}
	r := &runner{dir: dir}
	if r.tests, err = list("."); err != nil {
		return 1, err
	}
	chosen, err := list(chosenBy(flag.Lookup("test.run").Value.String()))
	if err != nil {
		return 1, err
	}

	var running sync.WaitGroup
	next := make(chan string)
	parallel := flag.Lookup("test.parallel").Value.(flag.Getter).Get().(int)
	errs := make([]error, min(parallel, 2*runtime.GOMAXPROCS(0)))
	for i := range errs {
		running.Go(func() {
			for test := range next {
				errs[i] = errors.Join(errs[i], r.run(test))
			}
		})
	}
	for _, test := range chosen {
		next <- test
	}
	close(next)
	running.Wait()
	err = errors.Join(errs...)
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return 1, nil // the test has said why
	}
	return 0, err
}

// chosenBy returns the pattern of the tests whose subtests, or which, the value of
// -run asks for. It may be of more tests.
func chosenBy(run string) string {
	test, subtests, _ := strings.Cut(run, "/")
	if test == "" || strings.Contains(subtests, "|") {
		return "."
	}
	return test
}

// list returns the names of the tests that match pattern.
func list(pattern string) ([]string, error) {
	out, err := exec.Command(os.Args[0], "-test.list="+pattern).Output()
	return slices.DeleteFunc(strings.Fields(string(out)), func(name string) bool {
		return !strings.HasPrefix(name, "Test")
	}), err
}

// run runs one test in namespaces of its own, and prints what it printed.
func (r *runner) run(test string) error {
	dir := filepath.Join(r.dir, test)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.Link(filepath.Join(r.dir, "gatehouse"), filepath.Join(dir, "gatehouse")); err != nil {
		return err
	}
	// What go test would make of the log decides whether it may reuse this
	// result. It may not: the gateway is no part of the test binary.
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-test.testlogfile=") || strings.HasPrefix(arg, "-test.skip=")
	})
	// -run stays as it is: it may choose subtests.
	others := slices.DeleteFunc(slices.Clone(r.tests), func(name string) bool { return name == test })
	skip := "^(" + strings.Join(others, "|") + ")$"
	if given := flag.Lookup("test.skip").Value.String(); given != "" {
		skip = given + "|" + skip
	}
	inner := exec.Command(os.Args[0], append([]string{"-test.skip=" + skip}, args...)...)
	inner.Env = append(os.Environ(), insideVariable+"="+dir)
	var output bytes.Buffer
	inner.Stdout, inner.Stderr = &output, &output
	inner.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	// The signal comes when the thread that started the process ends.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := inner.Run()

	r.printing.Lock()
	defer r.printing.Unlock()
	if err != nil || testing.Verbose() {
		os.Stdout.Write(output.Bytes())
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case ok && exit.ExitCode() < 0: // a signal: it has said nothing
		return fmt.Errorf("%s: %s", test, exit)
	case ok || err == nil:
		return err
	}
	return fmt.Errorf("no namespaces for network, mounts and processes: %w; run as root, and a container with --privileged", err)
}
