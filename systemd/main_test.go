package systemd

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"gatehouse/internal/testkit"
)

// TestMain runs the tests or, when the test binary has been started anew by one
// of them, plays the process that inherits descriptors.
func TestMain(m *testing.M) {
	if os.Getenv("GATEHOUSE_TEST_CHILD") != "" {
		os.Exit(child())
	}
	testkit.Main(m)
}

// child prints a line for each descriptor that it was passed, or for descriptor 0,
// and greets one peer of each.
func child() int {
	report := os.NewFile(childReport(), "report")
	if os.Getenv("LISTEN_PID") == "self" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	}
	passed, err := Process{}.Descriptors()
	if err != nil {
		fmt.Fprintln(report, "error:", err)
		return 2
	}
	again, err := Process{}.Descriptors()
	fmt.Fprintln(report, len(passed), len(again), err)
	if len(passed) == 0 {
		stdin, err := Inspect(0)
		if err != nil {
			fmt.Fprintln(report, "error:", err)
			return 2
		}
		passed = []Descriptor{{Socket: stdin}}
	}
	for _, d := range passed {
		fmt.Fprintln(report, d, d.Socket.State, d.Socket.Network)
		if err := greet(d); err != nil {
			fmt.Fprintln(report, "error:", err)
			return 1
		}
	}
	if _, err := io.WriteString(os.Stdout, "to standard output\n"); err != nil {
		fmt.Fprintln(report, "error:", err)
		return 1
	}
	return 0
}

// childReport is the descriptor to report to: standard error is the peer in some
// of the tests.
func childReport() uintptr {
	n, err := strconv.Atoi(os.Getenv("GATEHOUSE_TEST_CHILD"))
	if err != nil {
		panic(err)
	}
	return uintptr(n)
}

func greet(d Descriptor) error {
	if d.Socket.State == Connected {
		c, err := d.Conn()
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = io.WriteString(c, "hello")
		return err
	}
	l, err := d.Listener()
	if err != nil {
		return err
	}
	defer l.Close()
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, "hello")
	return err
}
