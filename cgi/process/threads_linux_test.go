package process

import (
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"gatehouse/internal/testkit"
)

// TestThreads: the threads of this process do not grow with the number of programs,
// neither by starting them under limits, nor by waiting for them when there is no room for
// a descriptor.
func TestThreads(t *testing.T) {
	if !testkit.Alone(t, nil) {
		return
	}
	runtime.GOMAXPROCS(2)
	const programs, enough = 60, 24
	l := newLauncher(t, Rules{Confinement: Confinement{NoCore: true}}, nil)
	var started [programs]*Process
	var starts, waits sync.WaitGroup
	for i := range programs {
		starts.Go(func() { started[i] = startShell(t, l, "", "read x") })
	}
	starts.Wait()
	checkThreads(t, "starting", enough)

	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: files.Max}); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for _, p := range started {
		waiting.Add(1)
		waits.Go(func() {
			waiting.Done()
			p.Wait()
		})
	}
	waiting.Wait()
	for _, p := range started {
		p.Stdin.Close()
	}
	waits.Wait()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	checkThreads(t, "waiting", enough)
	for _, p := range started {
		p.closePipes()
		if s := p.Status(); s.Code != 1 {
			t.Errorf("%v; want that of read at the end", s)
		}
	}
}

func checkThreads(t *testing.T, after string, most int) {
	t.Helper()
	if threads, err := os.ReadDir("/proc/self/task"); err != nil || len(threads) > most {
		t.Errorf("%d threads after %s, %v; want at most %d", len(threads), after, err, most)
	}
}
